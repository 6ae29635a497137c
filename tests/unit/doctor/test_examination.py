"""Groups of checks: what is found counts, whatever becomes of a check."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator

from postmask.doctor.examination import CHECK_FAILED, CODES, OUT_OF_TIME, Check, Group, Running, examine
from postmask.doctor.finding import Finding, Severity, warning

LOOSE = warning("PM998", "A screw is loose.", "It may fall out.", "Turn it.")


def loose(subject: str) -> Iterator[Finding]:
    yield LOOSE.at(subject)


def group(*looks: Callable[[str], Iterable[Finding]], seconds: float = 60.0) -> Group[str]:
    return Group("tools", "Tools.", seconds, (LOOSE,), [Check(look.__name__, look) for look in looks])


def test_what_a_check_yields_is_found() -> None:
    (found,) = examine([group(loose)], "wheel")
    assert (found.group, found.complete) == ("tools", True)
    assert found.findings == (LOOSE.at("wheel"),)
    assert found.findings[0].what == "A screw is loose."
    assert LOOSE.severity is Severity.WARNING


def test_a_check_that_raises_is_a_finding_and_the_next_one_goes_on() -> None:
    def breaks(subject: str) -> Iterator[Finding]:
        yield LOOSE.at("nut")
        raise OSError("no such wheel")

    (found,) = examine([group(breaks, loose)], "wheel")
    failed = CHECK_FAILED.at("tools, breaks", "no such wheel")
    assert found.findings == (LOOSE.at("nut"), failed, LOOSE.at("wheel"))
    assert not found.complete


def test_an_exception_without_words_is_called_by_its_name() -> None:
    def breaks(subject: str) -> Iterable[Finding]:
        raise RecursionError

    (found,) = examine([group(breaks)], "wheel")
    assert found.findings[0].what == "RecursionError"


def test_a_group_that_hangs_is_told_with_what_it_found() -> None:
    hanging, end = threading.Event(), threading.Event()

    def hangs(subject: str) -> Iterator[Finding]:
        yield LOOSE.at("bolt")
        hanging.set()
        end.wait()

    running = Running(group(hangs, seconds=0.0), "wheel")
    assert hanging.wait(60)
    late = running.result()
    end.set()
    assert late.findings == (LOOSE.at("bolt"), OUT_OF_TIME.at("tools", "it was not done within 0 s"))
    assert not late.complete


def test_the_doctors_own_codes_all_have_a_case_here() -> None:
    assert CODES == (CHECK_FAILED, OUT_OF_TIME)
