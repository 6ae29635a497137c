"""A scan as it is noted, and waited for."""

from concurrent.futures import Future

import pytest

from postmask.message.evidence import SpamNote
from postmask.spam.judgement import Attempt, Reason, Scan, Score
from postmask.spam.note import awaited, note_of


@pytest.mark.parametrize(
    ("scan", "note"),
    [
        (
            Scan(Score(3.0, 6.0, ("A", "B")), "spamd", (Attempt("rspamd", Reason.TIMEOUT),), 1234.5),
            SpamNote("spamd", 0.5, ("A", "B"), 1234, ""),
        ),
        (
            Scan(None, "", (Attempt("spamd", Reason.TIMEOUT), Attempt("rspamd", Reason.BREAKER_OPEN)), 4e3),
            SpamNote("", None, (), 4000, "spamd timeout, rspamd breaker open"),
        ),
        (Scan(None, "", (Attempt("", Reason.NO_SLOT),), 0.0), SpamNote(unscanned="no slot")),
    ],
)
def test_what_is_noted_of_a_check(scan: Scan, note: SpamNote) -> None:
    assert note_of(scan) == note


def test_what_is_waited_for_is_said_or_why_not(caplog: pytest.LogCaptureFixture) -> None:
    check: Future[SpamNote] = Future()
    assert awaited(check, 0.0) == SpamNote(unscanned="no time")
    check.set_result(SpamNote("spamd", 0.5))
    assert awaited(check, 0.0) == SpamNote("spamd", 0.5)
    broken: Future[SpamNote] = Future()
    broken.set_exception(ZeroDivisionError("a fault of ours"))
    assert awaited(broken, 0.0) == SpamNote(unscanned="fault")
    assert "a fault of ours" in caplog.text
