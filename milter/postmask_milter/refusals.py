"""Records refusals in a thread of its own, so that no answer waits for a disk.

Only what was refused to *known* aliases is worth an event: disabled, paused, sender blocked. What is
said to unknown addresses is noise that anybody can make without end.

DIAGNOSTICS
    More refusals at once than the queue holds are not recorded; how many is logged. A recorder that
    raises loses that one record, with a log line; the answer was given long before.
"""

from __future__ import annotations

import logging
import queue
import time

from postmask.daemon import begin, lasting
from postmask.verdict import Verdict
from postmask_milter.rcpt import Recorder

LOGGER = logging.getLogger(__name__)

QUEUE_SIZE = 1_000


_OF_KNOWN_ALIASES = frozenset({"5.2.1", "5.7.1", "5.7.26", "4.2.1"})
_DISABLED = "alias disabled"


def concerns_known_alias(verdict: Verdict) -> bool:
    """Whether a refusal is worth an event. A disabled alias may be set to answer as an unknown one."""
    return verdict.status in _OF_KNOWN_ALIASES or verdict.reason == _DISABLED


class RefusalQueue:
    """A Recorder in front of a slower one."""

    def __init__(self, recorder: Recorder, size: int = QUEUE_SIZE) -> None:
        self._recorder = recorder
        self._queue: queue.Queue[tuple[Verdict, str, str, str] | None] = queue.Queue(size)
        self._thread = lasting("refusals", self._run)
        self._lost = 0

    def start(self) -> None:
        """Begin to record."""
        begin(self._thread)

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        """Queue a refusal for the record, if worth it; at once, whatever the recorder does."""
        if not concerns_known_alias(verdict):
            return
        try:
            self._queue.put_nowait((verdict, recipient, sender, queue_id))
        except queue.Full:
            self._lost += 1

    def close(self, timeout: float) -> bool:
        """Record what is queued and end, within that many seconds. True if all was recorded."""
        until = time.monotonic() + timeout
        try:
            self._queue.put(None, timeout=timeout)
        except queue.Full:
            return False
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (refusal := self._queue.get()) is not None:
            try:
                self._recorder.refused(*refusal)
            except Exception:  # whatever the recorder stumbled over, the next refusal is another matter
                LOGGER.exception("a refusal could not be recorded")
            if self._lost:
                lost, self._lost = self._lost, 0
                LOGGER.warning("%d refusals were not recorded: too many at once", lost)
