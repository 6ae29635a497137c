"""The DNS questions of a message: asked once, within its budget, and not in vain."""

from __future__ import annotations

import pytest

from postmask.auth.questions import BUDGET, MOMENT, REST, Questions
from postmask.breaker import Breaker
from postmask.clock import Deadline, ManualClock
from postmask.directory.lookup import ABSENT, Found, Unavailable
from slow_dns import SlowDns


class Site:
    """A node with its breaker; each message has questions of its own."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.dns = SlowDns(clock=self.clock)
        self.dns.txts["example.com"] = [b"x"]
        self.breaker = Breaker(self.clock, REST, lambda: 0.5)

    def message(self) -> Questions:
        return Questions(self.dns, self.breaker, self.clock)

    def waits(self, *names: str) -> float:
        """A message that asks for these names: how long that takes."""
        start = self.clock.monotonic()
        questions = self.message()
        for name in names:
            questions.txt(name, self.later())
        return self.clock.monotonic() - start

    def later(self) -> Deadline:
        return Deadline.after(self.clock, 10)

    def open_breaker(self) -> None:
        self.dns.slow = {""}
        for _ in range(REST.failures):
            self.waits("example.com")


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_message_asks_each_question_once(site):
    questions = site.message()
    for name in ("example.com", "EXAMPLE.com."):
        assert questions.txt(name, site.later()) == Found((b"x",))
        assert questions.addresses(name, site.later()) is ABSENT
        assert questions.addresses(name, site.later(), ipv6=True) is ABSENT
        assert questions.exchanges(name, site.later()) is ABSENT
        assert questions.exists(name, site.later()) == Found(None)
    assert len(site.dns.asked) == 5


def test_a_failure_is_not_asked_again_either(site):
    site.dns.failing.add("example.com")
    questions = site.message()
    answers = [questions.txt("example.com", site.later()) for _ in range(3)]
    assert answers == [Unavailable("DNS did not answer")] * 3
    assert len(site.dns.asked) == 1


def test_the_budget_is_for_all_questions(site):
    site.dns.slow = {"dead.test"}
    assert site.waits(*(f"{number}.dead.test" for number in range(20))) == pytest.approx(BUDGET)


def test_time_between_the_questions_is_not_dns_time(site):
    questions = site.message()
    questions.txt("a.test", site.later())
    site.clock.advance(60)
    assert questions.txt("example.com", site.later()) == Found((b"x",))


def test_the_messages_deadline_counts_too(site):
    site.dns.slow = {""}
    start = site.clock.monotonic()
    site.message().txt("example.com", Deadline.after(site.clock, 0.5))
    assert site.clock.monotonic() - start == pytest.approx(0.5)


def test_with_dns_dead_messages_are_soon_not_kept_waiting(site):
    site.dns.slow = {""}
    names = ("_dmarc.example.com", "example.com", "s1._domainkey.example.com")
    waited = [site.waits(*names) for _ in range(REST.failures + 5)]
    assert waited[: REST.failures] == pytest.approx([BUDGET] * REST.failures)
    assert waited[REST.failures :] == pytest.approx([MOMENT] * 5)


def test_now_and_then_one_message_is_patient(site):
    site.open_breaker()
    site.clock.advance(REST.first_rest)
    assert [site.waits("example.com") for _ in range(3)] == pytest.approx([2.0, MOMENT, MOMENT])


def test_a_slow_dns_is_found_by_the_patient_one(site):
    site.open_breaker()
    site.dns.slow = set()
    site.dns.takes = 0.5
    site.waits("example.com")
    assert isinstance(site.message().txt("example.com", site.later()), Unavailable)
    site.clock.advance(REST.first_rest)
    assert site.message().txt("example.com", site.later()) == Found((b"x",))
    assert site.message().txt("example.com", site.later()) == Found((b"x",))


def test_an_answer_within_the_moment_closes_it(site):
    site.open_breaker()
    site.dns.slow = set()
    questions = site.message()
    assert questions.txt("example.com", site.later()) == Found((b"x",))
    site.dns.takes = 1.0
    assert questions.txt("nowhere.test", site.later()) is ABSENT, "patient again"
    assert site.message().txt("example.com", site.later()) == Found((b"x",))


def test_dead_domains_of_one_sender_do_no_harm_to_others(site):
    """Whoever sends messages whose domains have dead servers must not switch off the checks of others."""
    site.dns.slow = {"evil.test"}
    for _ in range(REST.failures):
        site.waits("a.evil.test", "b.evil.test")
    assert site.message().txt("example.com", site.later()) == Found((b"x",))
    assert site.breaker.allows()


def test_messages_that_got_some_answer_do_not_count(site):
    site.dns.slow = {"evil.test"}
    for _ in range(3 * REST.failures):
        site.waits("example.com", "a.evil.test")
        site.waits("a.evil.test", "example.com")
        assert site.breaker.allows()


def test_failures_that_keep_nobody_waiting_do_not_count(site):
    site.dns.failing.add("example.com")
    for _ in range(3 * REST.failures):
        site.waits("example.com")
    assert site.breaker.allows()
