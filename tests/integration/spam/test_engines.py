"""The real spamd and the real Rspamd: judged rightly, in whatever form a message comes; and taught."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from postmask.clock import Deadline, SystemClock
from postmask.spam.engine import Facts
from postmask.spam.judgement import EngineError, Kind, Reason, Score
from spam_engines import OURS, RunningEngine, spamd
from spam_messages import BODYLESS, ENDINGS, GTUBE, PLAIN

CLOCK = SystemClock()
FACTS = Facts(
    client="203.0.113.7",
    client_name="mail.example.com",
    helo="mail.example.com",
    sender="alice@example.com",
    recipients=("bob@example.org",),
    host="mx.host.test",
    queue_id="4C68C2F27C1",
    at=CLOCK.now(),
    traced=False,
)


def judge(engine: RunningEngine, content: bytes, facts: Facts = FACTS) -> Score:
    return engine.installed().check(content, facts, Deadline.after(CLOCK, 60))


def test_gtube_is_spam_and_a_plain_message_is_not(engine: RunningEngine) -> None:
    spam, plain = judge(engine, GTUBE), judge(engine, PLAIN)
    assert spam.ratio >= 1.0
    assert "GTUBE" in spam.symbols
    assert plain.ratio < 0.8
    assert "GTUBE" not in plain.symbols


@pytest.mark.parametrize("ended", ENDINGS.values(), ids=ENDINGS)
def test_it_is_judged_however_it_ends(engine: RunningEngine, ended: Callable[[bytes], bytes]) -> None:
    assert judge(engine, ended(PLAIN)).ratio < 0.8
    assert judge(engine, ended(GTUBE)).ratio >= 1.0


@pytest.mark.parametrize("content", BODYLESS.values(), ids=BODYLESS)
def test_a_message_without_a_body_is_judged(engine: RunningEngine, content: bytes) -> None:
    assert judge(engine, content).symbols


def test_a_unix_socket(engine: RunningEngine) -> None:
    installed = engine.installed(engine.socket)
    assert installed.check(GTUBE, FACTS, Deadline.after(CLOCK, 60)).ratio >= 1.0


def test_spamd_sees_the_client(spamd: RunningEngine) -> None:
    """With the fields that are put before the message it doesn't miss Postfix's own."""
    assert "NO_RELAYS" in judge(spamd, PLAIN, Facts()).symbols
    assert "NO_RELAYS" not in judge(spamd, PLAIN).symbols


def test_rspamd_sees_the_envelope(rspamd: RunningEngine) -> None:
    assert "FROM_EQ_ENVFROM" in judge(rspamd, PLAIN).symbols
    assert "FROM_EQ_ENVFROM" not in judge(rspamd, PLAIN, Facts(sender="other@example.net")).symbols


def test_large_messages(engine: RunningEngine) -> None:
    """30 MB: judged by the one that can, or left alone because of its limit."""
    large = PLAIN + b"%s\r\n" % (b"0123456789abcdef" * 60) * 31_000
    assert len(large) > 29_000_000
    limited = engine.installed(size_limit=10_485_760)
    with pytest.raises(EngineError) as caught:
        limited.check(large, FACTS, Deadline.after(CLOCK, 60))
    assert caught.value.reason is Reason.TOO_LARGE
    if engine.name == "rspamd":  # without our limit it says itself that it is too large
        with pytest.raises(EngineError) as caught:
            judge(engine, large)
        assert caught.value.reason in {Reason.ERROR_STATUS, Reason.RESET}


@pytest.mark.parametrize("kind", Kind)
def test_reports(engine: RunningEngine, kind: Kind) -> None:
    words = b"".join(b"%s%d " % (kind.encode() * 2, number) for number in range(200))
    content = PLAIN.replace(b"4711", kind.encode()) + words
    for _ in range(2):  # the second time there is nothing new, which is no error
        engine.installed().learn(content, kind, Deadline.after(CLOCK, 60))


def test_a_spamd_that_learns_nothing_says_so() -> None:
    with (
        spamd("use_bayes 0\n") as without,
        pytest.raises(EngineError, match="learned nothing"),
    ):
        without.installed().learn(PLAIN, Kind.SPAM, Deadline.after(CLOCK, 60))


def test_a_wrong_password(rspamd: RunningEngine) -> None:
    with pytest.raises(EngineError) as caught:
        rspamd.installed(password="wrong").learn(PLAIN, Kind.HAM, Deadline.after(CLOCK, 60))
    assert caught.value.reason is Reason.ERROR_STATUS
    assert "403" in caught.value.detail or "401" in caught.value.detail


def test_our_rules_are_spamassassin_s_language(tmp_path: Path) -> None:
    """spamd would leave out what it doesn't know. (Rspamd doesn't start with what it can't read.)"""
    rules = tmp_path / "rules"
    shutil.copytree("/etc/spamassassin", rules)
    shutil.copy(OURS / "spamd/postmask.cf", rules)
    command = ["spamassassin", "--lint", "--local", "--siteconfigpath", str(rules)]
    linted = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "HOME": str(tmp_path)}
    )
    assert (linted.returncode, linted.stderr) == (0, "")
