"""postmask-milter itself: from its configuration file to its answers, and what keeps it from starting."""

import subprocess
import sys
from pathlib import Path

import pytest

import truth
from milter_lab import MilterLab, wait_for
from postmask import keys
from postmask.clock import SystemClock

PROGRAM = (sys.executable, "-m", "postmask_milter", "alias", "--config")


def configured(folder: Path, sockets: Path) -> Path:
    """A configuration file whose parts needn't exist yet."""
    file = folder / "postmask.toml"
    file.write_text(
        f"""
        [database]
        url = "sqlite:///{folder}/truth.db"
        [keys]
        file = "{folder}/keys"
        [spool]
        path = "{folder}/spool.db"
        [sockets]
        directory = "{sockets}"
        """
    )
    return file


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60)


def codes(lab: MilterLab, listener: str, *recipients: str) -> list[int]:
    with lab.smtp(listener) as client:
        client.docmd("MAIL FROM:<bob@sender.test>")
        return [client.docmd(f"RCPT TO:<{recipient}>")[0] for recipient in recipients]


def test_it_answers_from_the_database_and_records_refusals(postfix: MilterLab, tmp_path: Path) -> None:
    keys.init(tmp_path / "keys", SystemClock())
    config = configured(tmp_path, postfix.sockets)
    with truth.made(f"sqlite:///{tmp_path}/truth.db") as made:
        made.furnish()
    postfix.start([*PROGRAM, str(config)])
    try:
        for listener in ("both", "gate", "milter"):
            recipients = ("shop@alias.test", "nosuch@alias.test", "postmaster@alias.test", "user@else.test")
            assert codes(postfix, listener, *recipients) == [250, 550, 250, 250]
        wait_for(lambda: (tmp_path / "spool.db").exists())
    finally:
        postfix.kill()


def test_without_a_database_it_starts_and_ours_waits(postfix: MilterLab, tmp_path: Path) -> None:
    keys.init(tmp_path / "keys", SystemClock())
    config = configured(tmp_path, postfix.sockets)
    postfix.start([*PROGRAM, str(config)])
    try:
        assert codes(postfix, "both", "shop@alias.test", "nosuch@alias.test", "user@else.test") == [
            451,
            451,
            250,
        ]
        # Whose domain it is nobody can tell the milter: it leaves it alone, and so the host's mail flows.
        assert codes(postfix, "milter", "shop@alias.test", "user@else.test") == [250, 250]
        with truth.made(f"sqlite:///{tmp_path}/truth.db") as made:
            made.furnish()
        assert codes(postfix, "both", "shop@alias.test", "nosuch@alias.test", "user@else.test") == [
            250,
            550,
            250,
        ]
    finally:
        postfix.kill()


def test_missing_keys_are_a_configuration_error(tmp_path: Path) -> None:
    done = run(*PROGRAM, str(configured(tmp_path, tmp_path)))
    assert done.returncode == 78
    assert str(tmp_path / "keys") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "text", ["[milter]\ncommand_dedline = 1\n", "[milter]\ncommand_deadline = -1\n", "["]
)
def test_a_wrong_configuration_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "postmask.toml").write_text(text)
    done = run(*PROGRAM, str(tmp_path / "postmask.toml"))
    assert done.returncode == 78
    assert done.stderr.startswith("postmask-milter: ")
    assert "Traceback" not in done.stderr


def test_a_folder_for_sockets_that_is_missing_is_said(tmp_path: Path) -> None:
    keys.init(tmp_path / "keys", SystemClock())
    done = run(*PROGRAM, str(configured(tmp_path, tmp_path / "nowhere")))
    assert done.returncode == 78
    assert str(tmp_path / "nowhere") in done.stderr


def test_a_spool_that_cant_be_opened_is_said(tmp_path: Path) -> None:
    keys.init(tmp_path / "keys", SystemClock())
    (tmp_path / "spool.db").mkdir()
    done = run(*PROGRAM, str(configured(tmp_path, tmp_path)))
    assert done.returncode == 74
    assert "spool" in done.stderr


def test_help_needs_no_database() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from postmask_milter.__main__ import main; "
        "assert CliRunner().invoke(main, ['alias', '--help']).exit_code == 0; "
        "assert not {'sqlalchemy', 'Milter', 'milter'} & set(sys.modules)"
    )
    assert run(sys.executable, "-c", code).returncode == 0
