"""What the gate has just accepted, for the milter to repeat: one decision, one log line a recipient.

Postfix asks the milter about a recipient a moment after the gate let it pass. Deciding anew would
cost as much again and could at most contradict the first answer. So the gate's word is kept for one
second, and as often as it was given: sessions in parallel may well ask the same. What the gate
refuses the milter is never asked.
"""

from __future__ import annotations

import threading

from postmask.clock import Clock
from postmask.verdict import Verdict
from postmask_milter.alias import Answer

SECONDS = 1.0
SIZE = 1_000
PARALLEL = 50
"""Questions kept, and how often each: more than is under way between gate and milter at once. What is
beyond it is decided anew."""


class Accepted:
    """The gate's acceptances of the last second. Shared by threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], list[tuple[float, Verdict]]] = {}

    def keeping(self, answer: Answer) -> Answer:
        """The same answers, the accepting ones kept."""

        def kept(recipient: str, sender: str, client: str, queue_id: str) -> Verdict | None:
            verdict = answer(recipient, sender, client, queue_id)
            if verdict is not None and verdict.accepted:
                self._keep(recipient, sender, verdict)
            return verdict

        return kept

    def repeating(self, answer: Answer) -> Answer:
        """What was kept, else the answer."""

        def repeated(recipient: str, sender: str, client: str, queue_id: str) -> Verdict | None:
            kept = self._take(recipient, sender)
            return answer(recipient, sender, client, queue_id) if kept is None else kept

        return repeated

    def _keep(self, recipient: str, sender: str, verdict: Verdict) -> None:
        with self._lock:
            if len(self._kept) >= SIZE:
                self._kept.clear()
            kept = self._kept.setdefault((recipient, sender), [])
            if len(kept) < PARALLEL:
                kept.append((self._clock.monotonic(), verdict))

    def _take(self, recipient: str, sender: str) -> Verdict | None:
        """The youngest one, used up; those that nobody fetched go with the last."""
        with self._lock:
            kept = self._kept.get((recipient, sender))
            if kept is None:
                return None
            at, verdict = kept.pop()
            fresh = self._clock.monotonic() - at < SECONDS
            if not kept or not fresh:
                del self._kept[recipient, sender]
            return verdict if fresh else None
