"""Postfix's policy delegation protocol without any socket: octets in, requests out.

A request is a list of "name=value" lines that ends with an empty line; the answer is one such line,
"action=…", and an empty line. A connection carries any number of them, one after the other.

    reader = RequestReader()
    for request in reader.receive(data):
        connection.sendall(answer(verdict))

DIAGNOSTICS
    Malformed: the peer doesn't speak this protocol (a line without "=", an attribute given twice, a
    NUL, a request beyond 64 KiB). Nothing sensible can be answered; the connection is to be closed,
    upon which Postfix takes the default action that its configuration names.
    "action=DUNNO" says nothing at all, which leaves the recipient to Postfix's other restrictions.
    OK, which would overrule those, is never said.

STANDARDS
    Postfix SMTPD_POLICY_README.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from postmask.verdict import Verdict, smtp_reply

LIMIT = 65_536
"""Octets of one request. Postfix's own have about 1,000, with everything at its limit some 20,000."""

_DUNNO = b"action=DUNNO\n\n"


class Malformed(Exception):  # noqa: N818  what it says of the peer, not of us
    """Not a policy request; says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request. Values are text as UTF-8; octets that aren't are surrogates (PEP 383)."""

    attributes: dict[str, str]

    def get(self, name: str) -> str | None:
        """The attribute's value, "" for an empty one, None where it wasn't sent."""
        return self.attributes.get(name)


class RequestReader:
    """Finds the requests in what one connection sends, however it is cut up."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    @property
    def begun(self) -> bool:
        """True while a part of a request has arrived, but not its end."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> Iterator[Request]:
        """Take octets; give each request that is complete now. Raises Malformed."""
        self._buffer += data
        while (end := self._end()) is not None:
            if end > LIMIT:
                break
            block = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._searched = 0
            yield Request(_attributes(block))
        if len(self._buffer) > LIMIT:
            raise Malformed(f"a request of more than {LIMIT} octets")

    def _end(self) -> int | None:
        """Where the empty line begins that ends the first request."""
        if self._buffer.startswith(b"\n"):
            return 0
        at = self._buffer.find(b"\n\n", self._searched)
        if at < 0:
            self._searched = max(0, len(self._buffer) - 1)
            return None
        return at + 1


def answer(verdict: Verdict | None) -> bytes:
    """The answer to a request. None, and whatever is accepted: no opinion."""
    if verdict is None or verdict.accepted:
        return _DUNNO
    code, status, text = smtp_reply(verdict)
    return f"action={code} {status} {text}\n\n".encode("ascii")


def _attributes(block: bytes) -> dict[str, str]:
    """Of the lines of one request, each ending in LF."""
    if b"\0" in block:
        raise Malformed("a NUL in a request")
    attributes: dict[str, str] = {}
    for line in block.decode("utf-8", "surrogateescape").split("\n")[:-1]:
        name, equals, value = line.partition("=")
        if not equals or not name:
            raise Malformed("a line that is not name=value")
        if name in attributes:
            raise Malformed(f"two values for {name[:40]!r}")
        attributes[name] = value
    return attributes
