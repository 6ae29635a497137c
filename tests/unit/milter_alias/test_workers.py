"""Answers with a deadline."""

import threading
import time
import weakref

import pytest

from postmask_milter.workers import Workers


def started(most: int, most_waiting: int = 100) -> Workers:
    workers = Workers("test", most, most_waiting)
    workers.start()
    return workers


def test_answers_come_back_to_the_one_who_asked() -> None:
    workers = started(3)
    given: dict[int, str | None] = {}

    def ask(number: int) -> None:
        given[number] = workers.ask(lambda: f"answer {number}", 30.0)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert given == {number: f"answer {number}" for number in range(20)}


def test_a_late_answer_is_none_and_the_abandoned_are_not_even_asked() -> None:
    workers = started(1)
    asked: list[str] = []
    release = threading.Event()
    assert workers.ask(lambda: release.wait(30), 0.05) is None
    assert workers.ask(lambda: asked.append("behind"), 0.05) is None
    release.set()
    assert workers.ask(lambda: "quick", 30.0) == "quick"
    assert asked == []


def test_as_many_work_at_once_as_may() -> None:
    workers = started(3)
    together = threading.Barrier(3)
    given: list[int | None] = []
    threads = [
        threading.Thread(target=lambda: given.append(workers.ask(lambda: together.wait(30), 30.0)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(number for number in given if number is not None) == [0, 1, 2]


def test_too_many_that_wait_are_told_at_once() -> None:
    workers = started(1, most_waiting=1)
    release = threading.Event()
    begun = threading.Event()

    def busy() -> bool:
        begun.set()
        return release.wait(30)

    first = threading.Thread(target=workers.ask, args=(busy, 30.0))
    first.start()
    assert begun.wait(30)
    assert workers.ask(lambda: "waits", 0.05) is None
    assert workers.ask(lambda: "too many", 3600.0) is None
    release.set()
    first.join()
    until = time.monotonic() + 30
    while workers.ask(lambda: "again", 30.0) is None:  # those given up are still to be put away
        assert time.monotonic() < until


def test_work_that_raises_ends_no_thread(caplog: pytest.LogCaptureFixture) -> None:
    workers = started(1)
    assert workers.ask(lambda: 1 // 0, 30.0) is None
    assert workers.ask(lambda: 1, 30.0) == 1
    assert "ZeroDivisionError" in caplog.text


def test_no_thread_more_costs_neither_the_question_nor_the_one_who_took_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    workers = started(3)
    with monkeypatch.context() as without:

        def refuse(_thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        without.setattr(threading.Thread, "start", refuse)
        assert workers.ask(lambda: "alone", 30.0) == "alone"
        assert workers.ask(lambda: "again", 30.0) == "again"
    assert "no thread is to be had" in caplog.text
    assert workers.ask(lambda: "after", 30.0) == "after"


def test_what_was_answered_is_not_kept_by_the_thread_that_waits_for_more() -> None:
    """Each of forty threads kept the last message that it had examined, of 50 MB maybe."""

    class Message:
        """Stands for what a question is about."""

    def ask(message: Message) -> None:
        assert workers.ask(lambda: bool(message), 30.0)

    workers = started(1)
    message = Message()
    kept = weakref.ref(message)
    ask(message)
    del message
    until = time.monotonic() + 30.0
    while kept() is not None and time.monotonic() < until:
        time.sleep(0.01)
    assert kept() is None
