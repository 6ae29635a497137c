"""What is made of a listener's answers before and after attaching."""

from __future__ import annotations

import pytest

from postmask_postfix.attachment.dialogue import FOREIGN, complaints
from postmask_postfix.attachment.listeners import Listener

LISTENER = Listener("smtp/inet", "127.0.0.1", "25", tls=False, proxied=False, screened=False, gated=True)
OWN = "postmaster@host.test"


def complained(recipient: str, before: str, after: str) -> bool:
    return bool(complaints(LISTENER, {recipient: before}, {recipient: after}, {recipient: False}))


@pytest.mark.parametrize("after", ["250 2.1.5 Ok", "450 4.2.0 greylisted"])
def test_what_was_put_off_may_be_taken(after: str) -> None:
    assert not complained(OWN, "450 4.2.0 greylisted", after)


@pytest.mark.parametrize(
    ("recipient", "before", "after"),
    [
        (OWN, "450 4.2.0 greylisted", "550 5.1.1 unknown"),
        (OWN, "250 2.1.5 Ok", "450 4.2.0 greylisted"),
        (FOREIGN, "454 4.7.1 Relay access denied", "250 2.1.5 Ok"),
    ],
)
def test_all_other_changes_are_told(recipient: str, before: str, after: str) -> None:
    assert complained(recipient, before, after)
