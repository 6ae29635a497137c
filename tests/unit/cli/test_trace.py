"""What became of a message, where nothing did, or where the log doesn't say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from cli_site import Site
from postmask_postfix.instance import cool


@pytest.fixture
def log(site: Site) -> Path:
    """The log, empty, of a Postfix that was never started."""
    return site.unstarted_postfix()


def test_longer_ago_than_a_date_can_say(site: Site, log: Path) -> None:
    told = site.refusal(os.EX_NOUSER, "trace", "4C68C2F27C1", "--since", "999999d", "--log", str(log))
    assert "nothing is known of 4C68C2F27C1 since 1970-01-01" in told


def test_a_log_that_does_not_tell_the_daemons_apart(site: Site, log: Path) -> None:
    """As rsyslog's RSYSLOG_SyslogProtocol23Format has it: nothing of it can be understood."""
    log.write_text(
        "<22>1 2026-11-28T14:51:13.609622+00:00 mx postfix 4332 - -  8A3512FE0B8: message-id=<1@a.net>\n"
    )
    told = site.refusal(os.EX_CONFIG, "trace", "8A3512FE0B8", "--log", str(log))
    assert "RSYSLOG_FileFormat" in told


def test_a_log_in_which_a_sender_could_write_what_he_likes(site: Site, log: Path) -> None:
    main = site.folder / "postfix" / "main.cf"
    main.write_text(main.read_text().replace("external", "internal"))
    cool(main)
    told = site.refusal(os.EX_CONFIG, "trace", "8A3512FE0B8", "--log", str(log))
    assert "postconf -e info_log_address_format=external" in told
