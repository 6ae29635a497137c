"""Lines of a body that are longer than SMTP allows, folded before the message is signed.

smtp(8) breaks such lines when it sends (smtp_line_length_limit), which would end the signature. So
they are broken beforehand, at the same places; a body without them stays the same object.

STANDARDS
    RFC 5322 §2.1.1 (998 octets).
"""

from __future__ import annotations

from postmask.message.headers import MAX_LINE


def fold_long(body: bytes) -> bytes:
    """The body with CRLF and a blank put in after each 998 octets of a line."""
    pieces: list[bytes] = []
    start = position = 0
    while len(body) - position > MAX_LINE:
        # The last line end within reach: all lines before it are short enough.
        at = body.rfind(b"\n", position, position + MAX_LINE + 2)
        if at >= 0:
            position = at + 1
            continue
        line_end = body.find(b"\r\n", position)
        line_end = len(body) if line_end < 0 else line_end
        room = MAX_LINE
        while line_end - position > room:
            pieces += (body[start : position + room], b"\r\n ")
            start = position = position + room
            room = MAX_LINE - 1
        position = line_end
    if not pieces:
        return body
    return b"".join((*pieces, body[start:]))
