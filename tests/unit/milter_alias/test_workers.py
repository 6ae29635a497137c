"""Answers with a deadline."""

import threading

from postmask.verdict import Verdict, deliver, reject
from postmask_milter.workers import Workers


def test_answers_come_back_to_the_one_who_asked() -> None:
    def answer(recipient: str, sender: str, queue_id: str) -> Verdict | None:
        return None if recipient == "foreign" else reject("5.1.1", f"{recipient} {sender} {queue_id}")

    workers = Workers(answer, 3, 10.0)
    workers.start()
    given: dict[int, Verdict | None] = {}

    def ask(number: int) -> None:
        given[number] = workers.ask(f"r{number}", "s", "q")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    texts = {number: verdict.text for number, verdict in given.items() if verdict}
    assert texts == {number: f"r{number} s q" for number in range(20)}
    assert workers.ask("foreign", "", "") is None


def test_a_late_answer_is_none_and_the_abandoned_are_not_even_asked() -> None:
    asked: list[str] = []
    release = threading.Event()

    def answer(recipient: str, sender: str, queue_id: str) -> Verdict | None:
        asked.append(recipient)
        if recipient == "slow":
            release.wait(30)
        return deliver()

    workers = Workers(answer, 1, 0.05)
    workers.start()
    assert workers.ask("slow", "", "") is None
    assert workers.ask("behind", "", "") is None
    release.set()
    patient = Workers(answer, 1, 30.0)
    patient.start()
    assert patient.ask("quick", "", "") is not None
    assert "behind" not in asked
