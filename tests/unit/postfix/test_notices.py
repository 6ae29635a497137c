"""What a person who attaches is told beside what stands in the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask_postfix.attachment.notices import notices
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.site import Site

HARD = "smtp inet n - y - - smtpd\n"
SOFT = "slow unix - - y - - smtp -o soft_bounce=yes\n"


@pytest.mark.parametrize(
    ("main", "master", "where"),
    [("yes", HARD, "(main.cf)"), ("no", HARD + SOFT, "(slow/unix)"), ("yes", SOFT, "(main.cf, slow/unix)")],
)
def test_soft_bounce_is_told_where_it_is_on(main: str, master: str, where: str) -> None:
    (said,) = notices(Site(Path("/etc/postfix"), {"soft_bounce": main}), Configuration("", master))
    assert where in said


def test_nothing_is_told_where_it_is_off() -> None:
    assert not list(notices(Site(Path("/etc/postfix"), {"soft_bounce": "no"}), Configuration("", HARD)))
