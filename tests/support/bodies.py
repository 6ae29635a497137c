"""Bodies of every kind that a mail system might trip over."""

from __future__ import annotations

import base64
import random

_random = random.Random(1)

BODIES = {
    "7-bit": b"Plain text.\r\nTwo lines.\r\n",
    "8-bit": "Grüße, naïve façade — ñandú\r\n".encode() + b"\xff\xfe latin \xe9\r\n",
    "base64 of 20 MB": base64.encodebytes(_random.randbytes(15_000_000)).replace(b"\n", b"\r\n"),
    "lines of 998 octets": (b"x" * 998 + b"\r\n") * 20 + b"y" * 997 + b"\r\n",
    "dot lines": b".\r\n..\r\n...\r\n.hidden\r\n. \r\nend.\r\n",
    "no final newline": b"first\r\nlast without an end",
    "empty": b"",
    "blank lines at the end": b"text\r\n\r\n\r\n\r\n",
    "control characters": bytes(range(1, 10)) + b"\x0b\x0c" + bytes(range(14, 32)) + b"\x7f\r\n",
    "blanks at the ends": b"soft \t \r\n \r\n\t\r\n-- \r\nsignature\r\n",
    "From lines": b"From here on\r\n>From there\r\n",
    "looks like a header": b"Subject: no\r\nX-Postmask-Trace: no\r\n\r\nbody\r\n",
    "broken MIME": b"--b\r\nContent-Type: text/plain\r\n\r\nno closing boundary\r\n--b  \r\n",
}
