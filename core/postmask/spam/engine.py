"""What an engine is: questions as octets, and readers that make something of the answer's octets.

Pure: postmask.spam.exchange does the input and output for all engines alike. To add an engine, write a
module like postmask.spam.spamc, and name it in postmask.spam.opening.

DIAGNOSTICS
    EngineError from a reader: the answer is an error, too large, or no answer. No other exception,
    whatever comes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from postmask.spam.judgement import Kind, Score

T_co = TypeVar("T_co", covariant=True)

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a message besides its content. "" is unknown; so is None.

    sender:     of the envelope; "" with sender_known is the null sender.
    client, client_name, helo, login: address, verified name, HELO and SASL name of the SMTP client.
    host, queue_id: of the Postfix that took it. at: when, seconds since the epoch.
    traced:     its Received field stands in the content already; at SMTP time it doesn't yet.
    """

    client: str = ""
    client_name: str = ""
    helo: str = ""
    login: str = ""
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    host: str = ""
    queue_id: str = ""
    at: float = 0.0
    traced: bool = True


class Reader(Protocol[T_co]):
    """Takes an answer in pieces of any size. Raises EngineError, and nothing else."""

    def feed(self, octets: bytes) -> T_co | None:
        """More of the answer; the result once it is whole."""

    def end(self) -> T_co:
        """The other side has closed."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T_co]):
    """What to send (the parts one after the other) and who reads the answer.

    half_close: whether to shut our side down after it.
    """

    parts: tuple[bytes, ...]
    reader: Reader[T_co]
    half_close: bool = False


class Engine(Protocol):
    """Makes questions for one kind of engine."""

    def check(self, content: bytes, facts: Facts) -> Question[Score]:
        """For a judgement of a message."""

    def learn(self, content: bytes, kind: Kind) -> Sequence[Question[bool]]:
        """To learn from a message, or to know it already: to be asked one after the other."""

    def ping(self) -> Question[bool]:
        """To find out whether anybody answers; True if so."""


def crlf_ended(content: bytes) -> bytes:
    """The content, ending in CRLF whatever it ended in; the same object if it did so already."""
    if content.endswith(b"\r\n"):
        return content
    return content.removesuffix(b"\n").removesuffix(b"\r") + b"\r\n"


def one_line(text: str, limit: int = 1_000) -> str:
    """Fit for a header field's value: no control characters, not longer than that."""
    return _CONTROLS.sub("?", text[:limit]).strip()
