"""A scan in the form in which evidence and header fields hold it, and the waiting for one.

DIAGNOSTICS
    None: a note says why nobody has judged. What a check raises is logged.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotInTime

from postmask.message.evidence import SpamNote
from postmask.spam.judgement import Reason, Scan

_LOG = logging.getLogger(__name__)


def note_of(scan: Scan) -> SpamNote:
    """What is noted of it."""
    score = scan.score
    return SpamNote(
        engine=scan.engine,
        ratio=score.ratio if score else None,
        symbols=score.symbols if score else (),
        milliseconds=round(scan.milliseconds),
        unscanned=scan.why_unscanned,
    )


def awaited(check: Future[SpamNote], seconds: float) -> SpamNote:
    """What a check says that other threads make; in its place, if it must be, why it says nothing."""
    try:
        return check.result(seconds)
    except NotInTime:
        return SpamNote(unscanned=Reason.NO_TIME)
    except Exception:  # noqa: BLE001  the message goes on unscanned
        _LOG.exception("the spam check raised")
        return SpamNote(unscanned=Reason.FAULT)
