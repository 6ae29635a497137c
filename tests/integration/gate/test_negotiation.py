"""What libmilter asks of Postfix on our behalf: seen on the wire, for pymilter's stand-in can't tell."""

import socket
import struct

import Milter

from milter_lab import MilterLab

OFFERED_ACTIONS = 0x1FF
OFFERED_STEPS = 0x1FFFFF
UNWANTED = (
    Milter.P_NOHELO
    | Milter.P_NODATA
    | Milter.P_NOHDRS
    | Milter.P_NOEOH
    | Milter.P_NOBODY
    | Milter.P_NOUNKNOWN
)


def negotiated(lab: MilterLab) -> tuple[int, int, bytes]:
    """Actions, steps that are left out, and the rest of the answer: macros, by stage."""
    offer = b"O" + struct.pack("!III", 6, OFFERED_ACTIONS, OFFERED_STEPS)
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(lab.sockets / "alias.sock"))
        client.sendall(struct.pack("!I", len(offer)) + offer)
        answers = client.makefile("rb")
        (length,) = struct.unpack("!I", answers.read(4))
        answer = answers.read(length)
    assert answer[:1] == b"O"
    _, actions, steps = struct.unpack("!III", answer[1:13])
    return actions, steps, answer[13:]


def test_only_what_is_used_is_asked_for(lab: MilterLab) -> None:
    actions, steps, macros = negotiated(lab)
    assert actions == Milter.SETSYMLIST
    assert steps & UNWANTED == UNWANTED
    assert not steps & (Milter.P_NOCONNECT | Milter.P_NOMAIL | Milter.P_NORCPT)
    assert steps & Milter.P_NR_MAIL
    assert macros.count(b"i\0") == 3
