"""The scan milter's side of one SMTP session: a message gathered, from MAIL to its end.

DIAGNOSTICS
    A message that isn't for recipients of ours alone is let go at DATA; so is one of which nobody can
    say that now. One that is larger than the limit is let through without a look, and so is one whose DATA
    we weren't told of (milter_protocol below 4). Nothing here raises: what isn't examined here the forwarder
    examines.

STANDARDS
    RFC 5321 §3.3; RFC 6152 (BODY), RFC 6531 (SMTPUTF8).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from postmask.message.headers import Field, Headers
from postmask.verdict import Verdict
from postmask_milter.alias import host_of, without_brackets

_UNKNOWN = "unknown"
"""What Postfix calls a client whose name it couldn't verify."""

_BODIES = frozenset({"7BIT", "8BITMIME"})


@dataclass(frozen=True, slots=True)
class Client:
    """Who speaks. "" where it isn't known."""

    address: str = ""
    name: str = ""
    helo: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message. headers, body: with CRLF line ends; body_type: "7BIT", "8BITMIME" or ""."""

    queue_id: str
    client: Client
    login: str
    sender: str
    smtputf8: bool
    body_type: str
    recipients: tuple[str, ...]
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is done with a message: a field is added, or it is refused; or neither."""

    field: Field | None = None
    refusal: Verdict | None = None


NOTHING = Outcome()

AllOurs = Callable[[Sequence[str]], bool]
"""Whether the recipients are ours, all of them, for certain."""

Examine = Callable[[Message], Outcome]


@dataclass(slots=True)
class _Draft:
    """A message in the making."""

    sender: str = ""
    login: str = ""
    smtputf8: bool = False
    body_type: str = ""
    recipients: list[str] = field(default_factory=list)
    ours: bool = False
    fields: list[Field] = field(default_factory=list)
    chunks: list[bytes] = field(default_factory=list)
    size: int = 0


class Session:
    """One session. size_limit: octets of a message that is examined."""

    def __init__(self, all_ours: AllOurs, examine: Examine, size_limit: int) -> None:
        self._all_ours = all_ours
        self._examine = examine
        self._size_limit = size_limit
        self._client = Client()
        self._draft = _Draft()

    def connect(self, name: str, address: object) -> None:
        """The client: its verified name, and the address as pymilter gives it."""
        self._client = Client(host_of(address), "" if name == _UNKNOWN else name)

    def hello(self, name: str) -> None:
        """HELO or EHLO."""
        self._client = Client(self._client.address, self._client.name, name)

    def mail(self, sender: str, parameters: Sequence[str], login: str) -> None:
        """MAIL FROM, a path in angle brackets as the protocol has it, and its parameters."""
        given = {word.upper() for word in parameters}
        bodies = [kind for kind in _BODIES if f"BODY={kind}" in given]
        self._draft = _Draft(without_brackets(sender), login, "SMTPUTF8" in given, "".join(bodies))

    def rcpt(self, recipient: str) -> None:
        """RCPT TO, likewise."""
        self._draft.recipients.append(without_brackets(recipient))

    def data(self) -> bool:
        """DATA: whether the message concerns us."""
        self._draft.ours = self._all_ours(self._draft.recipients)
        return self._draft.ours

    def header(self, name: str, value: bytes) -> None:
        """A field: what stands before and after the colon, its lines parted by LF or CRLF."""
        octets = value.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        written = name.encode("utf-8", "surrogateescape")
        raw = b"%b:%b\r\n" % (written, octets)
        if self._fits(len(raw)):
            self._draft.fields.append(Field(raw, written.lower()))

    def body(self, chunk: bytes) -> None:
        """A part of the body."""
        if self._fits(len(chunk)):
            self._draft.chunks.append(chunk)

    def end(self, queue_id: str) -> Outcome:
        """The end of the message."""
        draft = self._draft
        self.reset()
        if not draft.ours or draft.size > self._size_limit:
            return NOTHING
        return self._examine(
            Message(
                queue_id=queue_id,
                client=self._client,
                login=draft.login,
                sender=draft.sender,
                smtputf8=draft.smtputf8,
                body_type=draft.body_type,
                recipients=tuple(draft.recipients),
                headers=Headers(draft.fields),
                body=b"".join(draft.chunks),
            )
        )

    def reset(self) -> None:
        """Forget the message."""
        self._draft = _Draft()

    def _fits(self, more: int) -> bool:
        """Count what comes; past the limit nothing is kept."""
        self._draft.size += more
        if self._draft.size > self._size_limit:
            self._draft.fields.clear()
            self._draft.chunks.clear()
            return False
        return True
