"""What `postmask reconcile` says of a log, of which the queue holds nothing any more."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path

import pytest

from cli_site import Site
from postmask.maillog.reckoning import Queued
from postmask_postfix import queue, sync

LATE = """\
2027-01-15T07:00:00.000000+00:00 mx postfix/smtpd[10]: 4C68C2F27C1: client=out.test[203.0.113.5]
2027-01-15T07:00:01.000000+00:00 mx postfix/qmgr[11]: 4C68C2F27C1: from=<bob@example.com>, size=300, nrcpt=1 \
(queue active)
2027-01-15T07:00:02.000000+00:00 mx postfix/pipe[12]: 4C68C2F27C1: to=<shop@alias.test>, relay=postmask, \
delay=2, delays=1/0/0/1, dsn=4.3.0, status=deferred (try again later)
"""


@pytest.fixture
def log(site: Site, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The log, empty, of a Postfix that was never started. Nothing is in its queue."""
    monkeypatch.setattr(queue, "queued", lambda _directory: {})
    monkeypatch.setattr(sync, "ours", lambda _directory: re.compile(r"@alias\.test$"))
    monkeypatch.setattr(time, "sleep", lambda _seconds: None)
    return site.unstarted_postfix()


def test_further_back_than_the_ledger_goes(site: Site, log: Path) -> None:
    told = site.refusal(os.EX_USAGE, "reconcile", "--since", "7d", "--log", str(log))
    assert "the ledger goes back 6 days" in told


def test_a_log_that_says_nothing(site: Site, log: Path) -> None:
    told = site.text("reconcile", "--log", str(log))
    assert told.startswith("the log says nothing of this time\n0 messages accepted")


@pytest.mark.parametrize(("since", "said"), [("2h", True), ("2027-01-15T06:59:30", False)])
def test_what_the_log_does_not_go_back_to_is_not_accounted_for(
    site: Site, log: Path, since: str, said: bool
) -> None:
    log.write_text(LATE)
    told = site.run("reconcile", "--since", since, "--log", str(log)).stdout
    assert ("the log begins at 2027-01-15 07:00:00Z; what came before isn't" in told) is said


def test_what_has_vanished(site: Site, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log.write_text(LATE)
    told = site.run("reconcile", "--json", "--log", str(log))
    assert told.exit_code == os.EX_DATAERR
    found = json.loads(told.stdout)
    assert [one["queue_id"] for one in found["unaccounted"]] == ["4C68C2F27C1"]
    assert not found["closes"]
    told = site.run("reconcile", "--log", str(log))
    assert "0 shares in all, 1 unaccounted for" in told.stdout
    waiting = Queued("4C68C2F27C1", "deferred", ("shop@alias.test",))
    monkeypatch.setattr(queue, "queued", lambda _directory: {waiting.queue_id: waiting})
    found = site.json("reconcile", "--log", str(log))
    assert (found["closes"], found["outcomes"]["waiting"]) == (True, 1)


def test_a_log_that_is_behind_is_looked_at_again(
    site: Site, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its daemon had not written yet that it was sent back."""
    log.write_text(LATE)

    def later(_seconds: float) -> None:
        log.write_text(
            LATE + "2027-01-15T07:59:00.000000+00:00 mx postfix/postsuper[13]: 4C68C2F27C1: removed\n"
        )

    monkeypatch.setattr(time, "sleep", later)
    found = site.json("reconcile", "--log", str(log))
    assert found["outcomes"]["deleted"] == 1
