"""The milter repeats what the gate has just accepted."""

from postmask.clock import ManualClock
from postmask.verdict import Verdict, deliver, reject
from postmask_milter.accepted import PARALLEL, SECONDS, SIZE, Accepted


class Asked:
    """Answers that remember who asked."""

    def __init__(self, verdict: Verdict | None) -> None:
        self.verdict = verdict
        self.questions: list[tuple[str, str]] = []

    def answer(self, recipient: str, sender: str, client: str, queue_id: str) -> Verdict | None:
        self.questions.append((recipient, sender))
        return self.verdict


def test_once_and_for_the_same_question_only() -> None:
    accepted = Accepted(ManualClock())
    gate, milter = Asked(deliver("alias")), Asked(None)
    ask_gate, ask_milter = accepted.keeping(gate.answer), accepted.repeating(milter.answer)
    assert ask_gate("shop@a", "bob@b", "192.0.2.7", "") == deliver("alias")
    assert ask_milter("shop@a", "eve@b", "192.0.2.7", "") is None
    assert ask_milter("shop@a", "bob@b", "192.0.2.7", "4Q") == deliver("alias")
    assert ask_milter("shop@a", "bob@b", "192.0.2.7", "4Q") is None
    assert milter.questions == [("shop@a", "eve@b"), ("shop@a", "bob@b")]


def test_for_a_second_only() -> None:
    clock = ManualClock()
    accepted = Accepted(clock)
    milter = Asked(None)
    accepted.keeping(Asked(deliver()).answer)("shop@a", "bob@b", "192.0.2.7", "")
    clock.advance(SECONDS)
    assert accepted.repeating(milter.answer)("shop@a", "bob@b", "192.0.2.7", "") is None
    assert milter.questions


def test_refusals_and_what_is_not_ours_are_not_kept() -> None:
    accepted = Accepted(ManualClock())
    for verdict in (None, reject("5.1.1", "no")):
        assert accepted.keeping(Asked(verdict).answer)("shop@a", "bob@b", "192.0.2.7", "") == verdict
        milter = Asked(deliver())
        accepted.repeating(milter.answer)("shop@a", "bob@b", "192.0.2.7", "")
        assert milter.questions == [("shop@a", "bob@b")]


def test_what_nobody_fetches_does_not_pile_up() -> None:
    accepted = Accepted(ManualClock())
    ask_gate = accepted.keeping(Asked(deliver()).answer)
    for number in range(3 * SIZE):
        ask_gate(f"r{number}@a", "bob@b", "192.0.2.7", "")
    assert len(accepted._kept) <= SIZE
    for _ in range(3 * SIZE):
        ask_gate("shop@a", "bob@b", "192.0.2.7", "")
    assert max(map(len, accepted._kept.values())) <= PARALLEL


def test_as_often_as_the_gate_has_said_it() -> None:
    accepted = Accepted(ManualClock())
    milter = Asked(None)
    ask_gate, ask_milter = accepted.keeping(Asked(deliver()).answer), accepted.repeating(milter.answer)
    for _ in range(2):
        ask_gate("shop@a", "bob@b", "192.0.2.7", "")
    assert [ask_milter("shop@a", "bob@b", "192.0.2.7", "") for _ in range(3)] == [deliver(), deliver(), None]
    assert len(milter.questions) == 1
    assert accepted._kept == {}
