"""The alias milter's side of one SMTP session: who connects, who sends, and an answer for each RCPT.

DIAGNOSTICS
    Sessions that Postfix emulates for mail that wasn't received by SMTP are not judged at all: a
    refusal in one would wedge the whole message, its foreign recipients too, in the maildrop
    queue. The forwarder decides on such mail.

STANDARDS
    RFC 5321 §3.3; Postfix MILTER_README, "non-SMTP mail".
"""

from __future__ import annotations

from collections.abc import Callable

from postmask.address import without_route
from postmask.verdict import Verdict

Answer = Callable[[str, str, str, str], Verdict | None]
"""Of recipient, envelope sender, client address and queue id ("" while there is none)."""

_EMULATED = (("127.0.0.1", 0), ("::1", 0))


def is_emulated(host: str, address: object) -> bool:
    """True for the session that Postfix makes up for local submission: localhost, client port 0.

    All three are asked for: a client that XCLIENT introduced without its port has port 0 as well. The
    address is of IPv6 where inet_protocols is ipv6 alone.
    """
    return host == "localhost" and isinstance(address, tuple) and address[:2] in _EMULATED


class Session:
    """One session: keeps client and envelope sender for the recipients that follow."""

    __slots__ = ("_answer", "_client", "_sender")

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._client = ""
        self._sender = ""

    def connect(self, address: object) -> None:
        """The client's address, as pymilter gives it."""
        self._client = host_of(address)

    def mail(self, sender: str) -> None:
        """MAIL FROM, a path in angle brackets as the protocol has it."""
        self._sender = without_brackets(sender)

    def rcpt(self, recipient: str, queue_id: str) -> Verdict | None:
        """RCPT TO, likewise. None: not ours."""
        return self._answer(without_brackets(recipient), self._sender, self._client, queue_id)


def host_of(address: object) -> str:
    """The client's host in an address as pymilter gives it; "" where there is none."""
    return str(address[0]) if isinstance(address, tuple) and address else ""


def without_brackets(path: str) -> str:
    """ "<user@domain>" and "<@relay.example:user@domain>" -> "user@domain", "<>" -> "" (RFC 5321 §4.1.2)."""
    address = path[1:-1] if path.startswith("<") and path.endswith(">") else path
    return without_route(address)
