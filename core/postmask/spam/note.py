"""A scan in the form in which evidence and header fields hold it."""

from __future__ import annotations

from postmask.message.evidence import SpamNote
from postmask.spam.judgement import Scan


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
