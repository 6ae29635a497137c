"""What an LMTP session is about: who the client was, the envelope, the question put to the handler.

STANDARDS
    Postfix XFORWARD_README (the client's attributes).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Client:
    """Who gave the message to Postfix, as far as the door tells (XFORWARD); None where it doesn't.

    login: the SASL login, known through the pipe door only. queue_id: Postfix's.
    """

    address: str | None = None
    name: str | None = None
    helo: str | None = None
    port: str | None = None
    protocol: str | None = None
    login: str | None = None
    queue_id: str | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """The envelope of one message; addresses as written on the wire. sender: "" is the null sender.

    recipients: in order, a repeated one repeated.
    """

    sender: str
    recipients: tuple[str, ...]
    smtputf8: bool
    body: str | None
    client: Client


@dataclass(frozen=True, slots=True)
class MessageGiven:
    """A question, to be answered by answer_message(). data: unstuffed, up to and with the last CRLF."""

    envelope: Envelope
    data: bytes


@dataclass(frozen=True, slots=True)
class TooLarge:
    """For the log: a message over the limit was answered 452 4.3.1."""

    envelope: Envelope
    octets: int


@dataclass(frozen=True, slots=True)
class Closing:
    """Send the output and close."""


Event: TypeAlias = MessageGiven | TooLarge | Closing


@dataclass(frozen=True, slots=True)
class Limits:
    """size: octets of one message; 0: none."""

    size: int = 0
    recipients: int = 1000
