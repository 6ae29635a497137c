"""With a real Postfix: domains that it answers for at once, and a code that arrives."""

from __future__ import annotations

import json
import os
import re
import signal
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import IDLE, Lab, lab
from postmask_postfix import sync

KEYS = ("smtp", "config", "postfix", "queue", "sink", "log", "sockets", "pids")


@pytest.fixture(scope="module")
def idle() -> Iterator[Lab]:
    """Postfix with everything attached; our programs do nothing."""
    with lab(programs=IDLE) as running:
        yield running


def answer(running: Lab, recipient: str) -> tuple[int, str]:
    """What RCPT is answered to a foreign client."""
    with running.client() as smtp:
        smtp.mail("bob@other.test")
        code, text = smtp.rcpt(recipient)
    return code, text.decode()


def test_domain_add_and_remove_return_when_postfix_answers(idle: Lab) -> None:
    assert answer(idle, "x@new.test")[0] == 554
    added = idle.postmask("domain", "add", "new.test", "--postmaster", "chief@real.test")
    assert added["postfix"] == "answers"
    assert added["dns"][0]["value"] == "10 lab.postmask.test"
    # Nobody answers on the gate's socket: ours waits.
    assert answer(idle, "x@new.test")[0] == 451
    assert idle.postmask("postfix", "sync") == {"domains": ["new.test"], "changed": False, "dry_run": False}
    assert idle.postmask("domain", "remove", "new.test")["postfix"] == "answers"
    assert answer(idle, "x@new.test")[0] == 554


def test_a_change_of_the_domains_that_was_killed_before_postfix_knew(
    idle: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    add = ("domain", "add", "late.test", "--postmaster", "chief@real.test")
    remove = ("domain", "remove", "late.test")
    for command, refused, before, after in (
        (add, os.EX_DATAERR, 554, 451),
        (remove, os.EX_NOUSER, 451, 554),
    ):
        with monkeypatch.context() as patched:
            patched.setattr(sync, "sync_domains", _killed)
            assert idle.postmask(*command, check=False).exit_code == -signal.SIGKILL
        assert answer(idle, "x@late.test")[0] == before
        assert idle.postmask(*command, check=False).exit_code == refused
        assert answer(idle, "x@late.test")[0] == after


def _killed(*_: object) -> None:
    raise SystemExit(-signal.SIGKILL)


def test_domains_of_the_host_are_refused(idle: Lab) -> None:
    own = "host.example"
    subprocess.run(["postconf", "-c", str(idle.postfix), "-e", f"mydestination = {own}"], check=True)
    told = idle.postmask("domain", "add", own, "--postmaster", "chief@real.test", check=False)
    assert told.exit_code == os.EX_DATAERR
    assert f"alias.{own}" in told.stderr


def test_lab_up_down_status_by_the_command_line(tmp_path_factory: pytest.TempPathFactory) -> None:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="postmask-cli-", dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        directory = f"{folder}/lab"
        command = [sys.executable, "-P", "-m", "postmask.cli", "lab"]
        programs = [word for program in IDLE for word in ("--exec", f"{program}=sleep 100000")]
        up = subprocess.run([*command, "up", directory, *programs], capture_output=True, text=True)
        try:
            assert up.returncode == 0, up.stderr
            described = json.loads(up.stdout)
            assert {
                "smtp",
                "config",
                "postfix",
                "queue",
                "sink",
                "log",
                "sockets",
                "pids",
            } <= described.keys()
            host, _, port = described["smtp"].partition(":")
            with smtplib.SMTP(host, int(port)) as smtp:
                assert smtp.noop()[0] == 250
            other = subprocess.run(
                [*command, "up", directory, "--door", "lmtp"], capture_output=True, text=True
            )
            assert other.returncode == os.EX_USAGE
            assert "--door" in other.stderr
            status = subprocess.run([*command, "status", directory], capture_output=True, text=True)
            assert json.loads(status.stdout)["up"]
        finally:
            down = subprocess.run([*command, "down", directory], capture_output=True, text=True)
        assert down.returncode == 0, down.stderr
        status = subprocess.run([*command, "status", directory], capture_output=True, text=True)
        assert status.returncode == os.EX_UNAVAILABLE


def test_a_code_arrives_and_confirms() -> None:
    with lab() as running:
        running.postmask("domain", "add", "alias.test", "--postmaster", "chief@real.test")
        assert running.postmask("mailbox", "add", "Me@real.test")["state"] == "unconfirmed"
        running.postmask("alias", "add", "shop@alias.test", "--to", "me@real.test")
        assert answer(running, "shop@alias.test")[0] == 450
        [mail] = running.await_mail(1)
        assert mail.recipients == ("Me@real.test",)
        match = re.search(rb"mailbox verify \S+ (\S+)", mail.content)
        assert match
        code = match[1].decode()
        assert running.postmask("mailbox", "verify", "me@real.test", code)["state"] == "active"
        assert answer(running, "shop@alias.test")[0] == 250
        status = running.postmask("status")
        assert status["ok"], status


def test_status_says_what_is_amiss_with_postfix() -> None:
    """Stopped, without one of our services, or with other domains than ours."""
    with lab(programs=IDLE) as running:
        running.postmask("domain", "add", "alias.test", "--postmaster", "chief@real.test")

        def amiss() -> list[tuple[str, str]]:
            told = json.loads(running.postmask("status", check=False).stdout)["checks"]
            wrong = [one for one in told if one["part"] == "postfix" and not one["ok"]]
            return [(one["code"], one["what"].partition(". ")[0]) for one in wrong]

        assert amiss() == []
        sync.sync_domains(running.postfix, [])
        assert amiss() == [("PM229", "Postfix doesn't answer for alias.test")]
        sync.sync_domains(running.postfix, ["alias.test", "old.test"])
        assert amiss() == [("PM229", "Postfix answers for old.test, not ours by the database")]
        sync.sync_domains(running.postfix, ["alias.test"])
        master = running.postfix / "master.cf"
        text = master.read_text()
        master.write_text(re.sub(r"(?m)^postmask unix.*\n(?:[ \t].*\n)*", "", text))
        assert amiss() == [("PM236", "Postmask would set something otherwise now")]
        master.write_text(text)
        subprocess.run(["postfix", "-c", running.postfix, "stop"], check=True, capture_output=True)
        assert amiss() == [("PM227", "Postfix isn't running")]
