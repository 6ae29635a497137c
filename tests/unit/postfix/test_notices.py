"""What a person who attaches is told beside what stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix.attachment.notices import notices
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.site import Site

HARD = "smtp inet n - y - - smtpd\n"
QUIET = Site(Path("/etc/postfix"), {"soft_bounce": "no"})
SOFT = "slow unix - - y - - smtp -o soft_bounce=yes\n"


@pytest.mark.parametrize(
    ("main", "master", "where"),
    [("yes", HARD, "(main.cf)"), ("no", HARD + SOFT, "(slow/unix)"), ("yes", SOFT, "(main.cf, slow/unix)")],
)
def test_soft_bounce_is_told_where_it_is_on(main: str, master: str, where: str) -> None:
    (said,) = notices(Site(Path("/etc/postfix"), {"soft_bounce": main}), Configuration("", master), ())
    assert where in said


def test_nothing_is_told_where_it_is_off() -> None:
    assert not list(notices(QUIET, Configuration("", HARD), ()))


def test_domains_that_the_host_itself_relays_are_told() -> None:
    (said,) = notices(QUIET, Configuration("", HARD), ("a.test", "b.test"))
    assert said.startswith("relay_domains has a.test, b.test besides")
