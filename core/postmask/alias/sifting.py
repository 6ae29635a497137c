"""What the spam check's result does to one recipient's copy of a message.

A ratio is the score divided by the engine's threshold: 1.0 and more is spam. Of several rules that apply
the hardest acts. What no engine has judged is never called spam or not spam: there is a rule of its own
for it, which the emergency switch sets aside.

DIAGNOSTICS
    450 4.7.1 no engine has judged, and such mail is to wait; 550 5.7.1 spam, to a known sender alone. Held
    and discarded is told apart by the verdict's kind.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from postmask.message.evidence import SpamNote
from postmask.spam.judgement import Reason
from postmask.verdict import Verdict, defer, deliver, discard, hold, reject


@dataclass(frozen=True, slots=True)
class SpamRules:
    """Ratios from which on something is done; infinity for never.

    refuse:    applies to senders who may be refused after the queue, before `hold`.
    replies:   from where on a reply is held.
    unscanned: "tag", "hold" or "defer".
    """

    mark: float = 1.0
    hold: float = math.inf
    discard: float = math.inf
    refuse: float = math.inf
    replies: float = 1.0
    unscanned: str = "tag"

    def forward(self, note: SpamNote | None, *, may_refuse: bool) -> Verdict:
        """Of a message to an alias. note: None where no engine is set up."""
        if note is None or note.ratio is None:
            return self._unscanned(note)
        reason = _reason(note)
        if note.ratio >= self.discard:
            return discard(reason)
        if may_refuse and note.ratio >= self.refuse:
            return reject("5.7.1", "refused as spam", reason)
        return hold(reason) if note.ratio >= self.hold else deliver(reason)

    def reply(self, note: SpamNote | None) -> Verdict:
        """Of a reply that is proven to be its owner's."""
        if note is None or note.ratio is None:
            return self._unscanned(note)
        return hold(_reason(note)) if note.ratio >= self.replies else deliver(_reason(note))

    def _unscanned(self, note: SpamNote | None) -> Verdict:
        if note is None or self.unscanned == "tag" or note.unscanned == Reason.BYPASSED:
            return deliver()
        reason = f"unscanned: {note.unscanned}"
        if self.unscanned == "hold":
            return hold(reason)
        return defer("4.7.1", "can't be checked now, try again later", reason)


def _reason(note: SpamNote) -> str:
    return f"spam ratio {note.ratio:.2f} by {note.engine}"
