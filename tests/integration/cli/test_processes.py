"""The command line as real processes, on both databases."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from postmask.store.engine import Use, make_engine, parse_url

pytestmark = pytest.mark.apart

POSTMASK = (sys.executable, "-P", "-m", "postmask.cli")


def furnish(shell) -> None:
    shell.json("keys", "init")
    shell.json("db", "init")
    shell.json("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    shell.json("mailbox", "add", "me@real.test", "--verified")
    shell.json("alias", "add", "shop@alias.test", "--to", "me@real.test")


@pytest.mark.timeout(900)
def test_the_whole_way(shell) -> None:
    furnish(shell)
    reverse = shell.run("contact", "add", "shop@alias.test", "bob@other.test").stdout.strip()
    shell.json("block", "add", "@spam.test")
    shell.json("alias", "disable", "shop@alias.test")
    shell.json("alias", "enable", "shop@alias.test")
    shell.json("alias", "remove", "shop@alias.test")
    shell.json("alias", "restore", "shop@alias.test")
    assert shell.json("resolve", "shop@alias.test")["destinations"][0]["address"] == "me@real.test"
    assert shell.json("resolve", reverse)["kind"] == "deliver"
    assert shell.json("resolve", "shop@alias.test", "--sender", "x@spam.test")["status"] == "5.7.1"
    assert shell.json("event", "list") == []
    assert shell.json("event", "bounces") == []
    assert shell.json("db", "status")["state"] == "current"
    assert [
        len(shell.json(noun, "list"))
        for noun in ("account", "domain", "mailbox", "alias", "contact", "block")
    ] == [1] * 6
    shell.json("mailbox", "remove", "me@real.test", "--with-aliases")
    shell.json("domain", "remove", "alias.test", "--with-aliases")
    assert shell.json("domain", "list") == []


@pytest.mark.parametrize("shell", ["postgres"], indirect=True)
def test_status_tells_what_the_programs_can_not_do_in_the_database(shell) -> None:
    """The owner, as whom the command line asks, can do it all."""
    furnish(shell)
    settings = tomllib.loads(shell.config.read_text())["database"]
    node = parse_url(settings["url"]).username
    engine = make_engine(settings["owner_url"])

    def trouble_after(change: str) -> list[str]:
        with engine.begin() as connection:
            connection.exec_driver_sql(change)
        parts = json.loads(shell.run("status", "--json").stdout)["checks"]
        return [part["what"] for part in parts if part["part"] == "database" and not part["ok"]]

    for change in ("REVOKE SELECT ON alias FROM", "REVOKE SELECT (login) ON mailbox FROM"):
        (what,) = trouble_after(f"{change} {node}")
        assert what.startswith("by database.url")
        assert "postmask db upgrade" in what
        shell.json("db", "upgrade")
    assert trouble_after("SELECT") == []
    (what,) = trouble_after(f"ALTER ROLE {node} SET default_transaction_read_only = on")
    assert what.startswith("by database.url it takes no writes")
    engine.dispose()


def test_backup_and_restore(shell, tmp_path: Path) -> None:
    """The nodes are let in again, with the role of the configuration."""
    furnish(shell)
    shell.json("db", "backup", str(tmp_path / "copy"))
    shell.json("alias", "add", "late@alias.test", "--to", "me@real.test")
    assert shell.json("db", "restore", str(tmp_path / "copy"), "--yes")["generation"] == 2
    assert [alias["address"] for alias in shell.json("alias", "list")] == ["shop@alias.test"]
    from postmask.config import load
    from postmask.directory.lookup import Found
    from postmask.store.directory import SqlDirectory

    engine = make_engine(load(shell.config, {}).database.url, Use.DIRECTORY)
    assert isinstance(SqlDirectory(engine).alias("shop@alias.test"), Found)
    engine.dispose()


def test_the_node_role_is_made_and_may_read(shell) -> None:
    shell.json("keys", "init")
    made = shell.json("db", "init")
    assert made["made"]
    if made["database"] == "sqlite":
        assert made["node_role"] is None
        return
    assert made["node_role"].endswith("_node")
    from postmask.config import load
    from postmask.directory.lookup import ABSENT
    from postmask.store.directory import SqlDirectory

    engine = make_engine(load(shell.config, {}).database.url, Use.DIRECTORY)
    assert SqlDirectory(engine).domain("alias.test") == ABSENT
    engine.dispose()


def test_an_unreachable_postgres_is_69_within_seconds(tmp_path: Path) -> None:
    config = tmp_path / "postmask.toml"
    config.write_text('[database]\nurl = "postgresql://a:geheim@127.0.0.1:1/none"\n')
    started = time.monotonic()
    told = subprocess.run(
        [sys.executable, "-m", "postmask.cli", "-c", str(config), "alias", "list"],
        capture_output=True,
        text=True,
    )
    assert told.returncode == os.EX_UNAVAILABLE
    assert "geheim" not in told.stderr
    assert "Traceback" not in told.stderr
    assert time.monotonic() - started < 10


def test_two_at_once_for_one_alias(shell) -> None:
    """One wins, the other is told; neither sees a fault of the database."""
    furnish(shell)
    command = [
        sys.executable,
        "-P",
        "-m",
        "postmask.cli",
        "alias",
        "add",
        "race@alias.test",
        "--to",
        "me@real.test",
    ]
    environ = {**os.environ, "POSTMASK_CONFIG": str(shell.config)}
    runs = [
        subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    told = [run.communicate()[1] for run in runs]
    assert sorted(run.returncode for run in runs) == [0] + [os.EX_DATAERR] * 3, told
    assert sum("already" in text or "break its rules" in text for text in told) == 3


def test_a_hundred_thousand_aliases_within_a_minute(shell, tmp_path: Path) -> None:
    furnish(shell)
    file = tmp_path / "aliases.csv"
    with file.open("w") as lines:
        lines.write("address,to,note\n")
        lines.writelines(f"a{number}@alias.test,me@real.test,note {number}\n" for number in range(100_000))
    started = time.monotonic()
    assert shell.json("alias", "import", str(file))["added"] == 100_000
    # The promise is made for a machine that has nothing else to do.
    crowd = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert time.monotonic() - started < 60 * crowd
    assert shell.json("alias", "list", "--search", "note 99999")[0]["address"] == "a99999@alias.test"


@pytest.mark.parametrize("shell", ["sqlite"], indirect=True)
def test_a_reader_that_goes_away(shell, tmp_path: Path) -> None:
    furnish(shell)
    file = tmp_path / "aliases.csv"
    file.write_text("".join(f"a{number}@alias.test\n" for number in range(3000)))
    shell.json("alias", "import", str(file), "--to", "me@real.test")
    program = f"{' '.join(POSTMASK)} -c {shell.config}"
    told = subprocess.run(
        ["bash", "-c", f"{program} alias list | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
    )
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("ALIAS")


def test_bash_completes() -> None:
    """The script that `completion bash` prints, in a real bash."""
    postmask = Path(sys.executable).with_name("postmask")
    script = (
        "source <(postmask completion bash); COMP_WORDS=(postmask mailbox re); COMP_CWORD=2; "
        '_postmask_completion postmask; echo "${COMPREPLY[@]}"'
    )
    told = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{postmask.parent}:{os.environ['PATH']}"},
    )
    assert told.stdout.split() == ["resume", "remove"], told.stderr


def test_interrupted_is_130_and_leaves_nothing(tmp_path: Path) -> None:
    fifo = tmp_path / "never"
    os.mkfifo(fifo)
    config = tmp_path / "postmask.toml"
    config.write_text(
        f'[database]\nurl = "sqlite:///{tmp_path}/postmask.db"\n[keys]\nfile = "{tmp_path}/keys"\n'
    )
    command = [sys.executable, "-P", "-m", "postmask.cli", "-c", str(config)]
    for words in (["keys", "init"], ["db", "init"]):
        subprocess.run([*command, *words], check=True, capture_output=True)
    # The tests may themselves run in the background, where a shell has SIGINT ignored, and nohup SIGHUP.
    interruptible = ["env", "--default-signal=INT,HUP", *command, "alias", "import", str(fifo)]
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        run = subprocess.Popen(interruptible, stderr=subprocess.PIPE, text=True)
        with fifo.open("w"):
            until = time.monotonic() + 120
            while "pipe_read" not in Path(f"/proc/{run.pid}/wchan").read_text() and time.monotonic() < until:
                time.sleep(0.02)
            with contextlib.closing(sqlite3.connect(tmp_path / "postmask.db", timeout=0)) as other:
                other.execute("BEGIN IMMEDIATE")  # what it waits for keeps nobody else from changing
            run.send_signal(number)
            told = run.communicate(timeout=120)[1]
        assert run.returncode == 130
        assert "interrupted" in told
        assert "Traceback" not in told
