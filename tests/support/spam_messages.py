"""Messages for the spam check, and the forms in which their ends come."""

from __future__ import annotations

import email.utils
from collections.abc import Callable

# Engines hold it against a message if it is from another time.
_DATE = email.utils.formatdate().encode()

HEADER = (
    b"From: Alice Example <alice@example.com>\r\nTo: Bob Example <bob@example.org>\r\n"
    b"Subject: Minutes of our meeting\r\nDate: " + _DATE + b"\r\n"
    b"Message-ID: <20261127100000.4711.abcdef@mail.example.com>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
)

PLAIN = HEADER + (
    b"Dear Bob,\r\n\r\nhere are the minutes of our meeting on Thursday. The next one is on Monday.\r\n"
    b"\r\nKind regards\r\nAlice\r\n"
)

GTUBE = HEADER + b"XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"

ENDINGS: dict[str, Callable[[bytes], bytes]] = {
    "no final newline": lambda message: message.removesuffix(b"\r\n"),
    "bare LF": lambda message: message.replace(b"\r\n", b"\n"),
    "bare LF, none at the end": lambda message: message.replace(b"\r\n", b"\n").removesuffix(b"\n"),
    "final CR": lambda message: message.removesuffix(b"\n"),
    "more behind": lambda message: message + b"\r\n\n\r",
}

BODYLESS = {"no body": HEADER, "no empty line": HEADER.removesuffix(b"\r\n"), "nothing at all": b""}
