"""SPF agrees with the test suite of RFC 7208 (openspf.org, as pyspf's source distribution ships it)."""

from __future__ import annotations

import spf_suite
from postmask.auth import spf
from postmask.clock import Deadline, ManualClock


def test_every_result_is_one_that_the_rfc_allows():
    cases = list(spf_suite.cases())
    assert len(cases) > 190
    wrong = {}
    for case in cases:
        deadline = Deadline.after(ManualClock(), 20)
        found = spf.check(case.address, case.helo, case.sender, case.zone, deadline)
        if found.result not in case.results:
            wrong[case.name] = f"{found.result}, not {' or '.join(case.results)}"
    assert wrong == {}
