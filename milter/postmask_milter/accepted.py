"""What the gate has just accepted, for the milter to repeat: one decision, one log line a recipient.

Postfix asks the milter about a recipient a moment after the gate let it pass. Deciding anew would
cost as much again and could at most contradict the first answer. So the gate's word is kept, for one
use and one second. What the gate refuses the milter is never asked.
"""

from __future__ import annotations

from postmask.clock import Clock
from postmask.verdict import Verdict
from postmask_milter.alias import Answer

SECONDS = 1.0
SIZE = 2_000
"""More than can be under way between gate and milter at once: what is beyond it is decided anew."""


class Accepted:
    """The gate's acceptances of the last second. Shared by threads; each step on it is atomic."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._verdicts: dict[tuple[str, str], tuple[float, Verdict]] = {}

    def keeping(self, answer: Answer) -> Answer:
        """The same answers, the accepting ones kept."""

        def kept(recipient: str, sender: str, queue_id: str) -> Verdict | None:
            verdict = answer(recipient, sender, queue_id)
            if verdict is not None and verdict.accepted:
                self._keep(recipient, sender, verdict)
            return verdict

        return kept

    def repeating(self, answer: Answer) -> Answer:
        """What was kept, else the answer."""

        def repeated(recipient: str, sender: str, queue_id: str) -> Verdict | None:
            kept = self._verdicts.pop((recipient, sender), None)
            if kept is not None and self._clock.monotonic() - kept[0] < SECONDS:
                return kept[1]
            return answer(recipient, sender, queue_id)

        return repeated

    def _keep(self, recipient: str, sender: str, verdict: Verdict) -> None:
        if len(self._verdicts) >= SIZE:
            self._verdicts.clear()
        self._verdicts[recipient, sender] = (self._clock.monotonic(), verdict)
