"""Small text messages of our own: confirmation codes and notices.

They answer nothing and ask for no answer: Auto-Submitted keeps other machines from replying.

DIAGNOSTICS
    None. What came from mail must have gone through postmask.display before it is put into the text.

STANDARDS
    RFC 5322, RFC 2045 §6.7 (quoted-printable), RFC 3834 §5 (Auto-Submitted).
"""

from __future__ import annotations

import binascii

from postmask.message import dates
from postmask.message.headers import MAX_LINE, Headers, fold, join, make_field


def build(*, sender: str, recipient: str, subject: str, text: str, at: float, message_id: str) -> bytes:
    """The message, with CRLF line ends. at: seconds since the epoch; message_id: with angle brackets."""
    lines = "".join(f"{line}\r\n" for line in text.splitlines())
    plain = lines.isascii() and all(len(line) <= MAX_LINE for line in lines.split("\r\n"))
    fields = [
        fold("From", [b"Postmask", f"<{sender}>".encode()]),
        fold("To", [f"<{recipient}>".encode()]),
        make_field("Subject", subject),
        make_field("Date", dates.format(at)),
        fold("Message-ID", [message_id.encode()]),
        make_field("Auto-Submitted", "auto-generated"),
        make_field("MIME-Version", "1.0"),
        make_field("Content-Type", "text/plain; charset=utf-8"),
        make_field("Content-Transfer-Encoding", "7bit" if plain else "quoted-printable"),
    ]
    data = lines.encode("utf-8", "replace")
    return join(Headers(fields), data if plain else binascii.b2a_qp(data, istext=True))
