"""What libmilter asks of Postfix on our behalf: seen on the wire, for pymilter's stand-in can't tell."""

import Milter

from milter_lab import MilterLab
from milter_offer import negotiated

UNWANTED = (
    Milter.P_NOHELO
    | Milter.P_NODATA
    | Milter.P_NOHDRS
    | Milter.P_NOEOH
    | Milter.P_NOBODY
    | Milter.P_NOUNKNOWN
)


def test_only_what_is_used_is_asked_for(lab: MilterLab) -> None:
    actions, steps, macros = negotiated(lab.sockets / "alias.sock")
    assert actions == Milter.SETSYMLIST
    assert steps & UNWANTED == UNWANTED
    assert not steps & (Milter.P_NOCONNECT | Milter.P_NOMAIL | Milter.P_NORCPT)
    assert steps & Milter.P_NR_MAIL
    assert macros.count(b"i\0") == 3
