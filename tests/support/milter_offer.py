"""What a running milter makes of an MTA's offer, on the wire."""

import socket
import struct
from pathlib import Path

OFFERED_ACTIONS = 0x1FF
OFFERED_STEPS = 0x1FFFFF


def negotiated(path: Path) -> tuple[int, int, bytes]:
    """Actions, steps that are left out, and the rest of the answer: macros, by stage."""
    offer = b"O" + struct.pack("!III", 6, OFFERED_ACTIONS, OFFERED_STEPS)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        client.sendall(struct.pack("!I", len(offer)) + offer)
        answers = client.makefile("rb")
        (length,) = struct.unpack("!I", answers.read(4))
        answer = answers.read(length)
    assert answer[:1] == b"O"
    _, actions, steps = struct.unpack("!III", answer[1:13])
    return actions, steps, answer[13:]
