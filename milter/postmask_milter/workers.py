"""Answers RCPT in threads of our own, for a caller that can't wait beyond its deadline.

The milter needs them: libmilter runs callbacks in threads that Python didn't make, and pymilter moves
a session's interpreter state from one to the next. SQLite's and other extension modules that take
the interpreter by PyGILState find a stale one there. It also gives a callback what libmilter has
not: an end to its patience.

DIAGNOSTICS
    None, "untouched", where there is no answer within the deadline: the milter sees the host's other
    mail too, which must not wait for us. What is ours has the gate and the forwarder behind it.
"""

from __future__ import annotations

import logging
import threading
from queue import SimpleQueue

from postmask.verdict import Verdict
from postmask_milter.alias import Answer

LOGGER = logging.getLogger(__name__)


class _Question:
    """One RCPT on its way to a worker and back."""

    __slots__ = ("abandoned", "answered", "queue_id", "recipient", "sender", "verdict")

    def __init__(self, recipient: str, sender: str, queue_id: str) -> None:
        self.recipient = recipient
        self.sender = sender
        self.queue_id = queue_id
        self.verdict: Verdict | None = None
        self.abandoned = False
        # A bare lock, held until there is an answer: a fifth of the cost of an Event.
        self.answered = threading.Lock()
        self.answered.acquire()


class Workers:
    """A fixed number of threads that answer.

    deadline: seconds that ask() waits at most.
    """

    def __init__(self, answer: Answer, count: int, deadline: float) -> None:
        self._answer = answer
        self._deadline = deadline
        self._questions: SimpleQueue[_Question] = SimpleQueue()
        self._threads = [
            threading.Thread(target=self._run, name=f"rcpt-{n}", daemon=True) for n in range(count)
        ]

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()

    def ask(self, recipient: str, sender: str, queue_id: str) -> Verdict | None:
        """The answer, or None where it takes too long."""
        question = _Question(recipient, sender, queue_id)
        self._questions.put(question)
        if question.answered.acquire(timeout=self._deadline):
            return question.verdict
        question.abandoned = True
        LOGGER.warning("no RCPT answer within %.1f s", self._deadline)
        return None

    def _run(self) -> None:
        while True:
            question = self._questions.get()
            if not question.abandoned:
                question.verdict = self._answer(question.recipient, question.sender, question.queue_id)
                question.answered.release()
