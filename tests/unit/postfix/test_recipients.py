"""Whom attaching asks each listener for, before and after."""

from __future__ import annotations

from pathlib import Path

from postmask_postfix.attachment import attach
from postmask_postfix.attachment.site import OWN_DOMAINS, Site
from postmask_postfix.domains import FOREIGN


def test_ours_the_host_s_own_and_a_foreign_one() -> None:
    """Who takes mail for the foreign one has become an open relay."""
    values = dict.fromkeys(OWN_DOMAINS, "") | {
        "mydestination": "host.test, /etc/postfix/more, alias.test hash:/etc/domains",
        "relay_domains": "one.test two.test three.test",
    }
    asked = attach._recipients(Site(Path("/"), values), ["b.test", "alias.test", "c.test"])
    ours = [recipient.partition("@")[2] for recipient, is_ours in asked.items() if is_ours]
    assert ours == ["alias.test", "b.test"]
    assert asked[FOREIGN] is False
    others = [recipient for recipient, is_ours in asked.items() if not is_ours and recipient != FOREIGN]
    assert [name for name in others if name.startswith("postmaster")] == [
        f"postmaster@{domain}" for domain in ("host.test", "one.test", "two.test")
    ]
    assert len(others) == 6
