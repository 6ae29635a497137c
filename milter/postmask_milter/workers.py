"""Answers in threads of our own, for a caller that can't wait beyond its deadline.

The milters need them: libmilter runs callbacks in threads that Python didn't make, and pymilter moves
a session's interpreter state from one to the next. SQLite's and other extension modules that take
the interpreter by PyGILState find a stale one there. It also gives a callback what libmilter has
not: an end to its patience.

DIAGNOSTICS
    None where there is no answer within the deadline, where too many wait already, and where the work
    raised (which is logged): the milters see the host's other mail too, which must not wait for us. What
    is ours has the gate and the forwarder behind it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

from postmask.daemon import begin, lasting

T = TypeVar("T")

LOGGER = logging.getLogger(__name__)

MOST_WAITING = 1_000


class _Question:
    """Some work on its way to a worker, and its answer on the way back."""

    __slots__ = ("abandoned", "answer", "answered", "work")

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.answer: Any = None
        self.abandoned = False
        # A bare lock, held until there is an answer: a fifth of the cost of an Event.
        self.answered = threading.Lock()
        self.answered.acquire()


class Workers:
    """Threads that answer, started one by one as more are needed.

    name: of the threads, and in the log. most: so many threads at most. most_waiting: questions that
    may wait until one is free.
    """

    def __init__(self, name: str, most: int, most_waiting: int = MOST_WAITING) -> None:
        self._name = name
        self._most = most
        self._most_waiting = most_waiting
        self._questions: SimpleQueue[_Question] = SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._idle = 0

    def start(self) -> None:
        """Begin to answer. The first thread is started here, the others by those before them."""
        with self._lock:
            self._add()

    def ask(self, work: Callable[[], T], seconds: float) -> T | None:
        """What the work returns, or None where that takes longer."""
        if self._questions.qsize() >= self._most_waiting:
            LOGGER.warning("%s: too much to do, one question is not answered", self._name)
            return None
        question = _Question(work)
        self._questions.put(question)
        if question.answered.acquire(timeout=max(0.0, seconds)):
            answer: T | None = question.answer
            return answer
        question.abandoned = True
        LOGGER.warning("%s: no answer within %.1f s", self._name, seconds)
        return None

    def _add(self) -> None:
        """One thread more. Raises OSError where none is to be had."""
        begin(lasting(f"{self._name}-{self._count + 1}", self._run))
        self._count += 1
        self._idle += 1

    def _add_if_possible(self) -> None:
        """One thread more; without one, those that there are go on, and the next question tries again."""
        try:
            self._add()
        except OSError as error:
            LOGGER.error("%s: no more than %d at work: %s", self._name, self._count, error.strerror)

    def _run(self) -> None:
        while True:
            question = self._questions.get()
            with self._lock:
                self._idle -= 1
                if not self._idle and self._count < self._most:
                    self._add_if_possible()
            if not question.abandoned:
                try:
                    question.answer = question.work()
                except Exception:  # the next question is another matter
                    LOGGER.exception("%s: a question could not be answered", self._name)
                question.answered.release()
            # Else the thread kept it, and the message in it, until it has another one.
            del question
            with self._lock:
                self._idle += 1
