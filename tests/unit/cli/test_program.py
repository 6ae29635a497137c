"""The command tree as a whole: help everywhere, light imports, exit statuses, options at every place."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete
from click.testing import CliRunner

from cli_site import Site
from postmask.cli import failure
from postmask.cli.command import Command, Noun
from postmask.cli.program import NOUNS, program
from postmask.keys import Keyring, Secret

HEAVY = ("sqlalchemy", "alembic", "psycopg2", "cryptography", "dkim", "dns", "rich", "spf")


def walk(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    yield path, command
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            child = command.get_command(ctx, name)
            assert child is not None
            yield from walk(child, (*path, name))


TREE = dict(walk(program))


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_every_command_has_help_and_an_example(path: tuple[str, ...]) -> None:
    command = TREE[path]
    assert isinstance(command, Command | Noun)
    assert command.help
    assert command.examples, "show how it is used"
    for example in command.examples:
        assert example.startswith(" ".join(("postmask", *path)))
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"
    told = CliRunner().invoke(program, [*path, "--help"], prog_name="postmask")
    assert told.exit_code == 0
    for example in command.examples:
        assert f"  {example}\n" in told.output
    assert "--json" in told.output


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_a_list_of_commands_has_their_first_sentences_whole(path: tuple[str, ...]) -> None:
    told = TREE[path].get_short_help_str()
    assert not told.endswith("...")
    assert " ".join((TREE[path].help or "").split()).startswith(told)


@pytest.mark.parametrize("path", TREE, ids=" ".join)
def test_a_default_is_told_in_one_form(path: tuple[str, ...]) -> None:
    for option in TREE[path].params:
        if isinstance(option, click.Option) and "default" in (option.help or ""):
            assert re.search(r"[.\"] \[default( of a new one)?: [^]]+\]$", option.help or "")


def test_what_the_locale_s_charset_lacks_is_escaped(tmp_path: Path) -> None:
    config = tmp_path / "postmask.toml"
    config.write_text('[spam]\nsubject_prefix = "„Spam“:"\n', encoding="utf-8")
    command = [sys.executable, "-m", "postmask.cli", "config", "show", "--config", str(config)]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONIOENCODING": "iso-8859-1"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert rb"\u201eSpam\u201c:" in done.stdout


@pytest.mark.parametrize("path", [path for path in TREE if path], ids=" ".join)
def test_examples_parse(path: tuple[str, ...]) -> None:
    """Each example is a command line that the parser takes."""
    command = TREE[path]
    assert isinstance(command, Command | Noun)
    for example in command.examples:
        words = shlex.split(example.partition(" > ")[0].partition(" | ")[0])[1:]
        ctx = program.make_context("postmask", words)
        while isinstance(ctx.command, click.Group):
            rest = [*ctx._protected_args, *ctx.args]
            name, child, rest = ctx.command.resolve_command(ctx, rest)
            assert child is not None
            ctx = child.make_context(name, rest, parent=ctx)


@pytest.mark.parametrize(
    "words", [["--help"], ["alias", "--help"], ["domain", "add", "--help"], ["--version"]]
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    told = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from postmask.cli.program import program\n"
            "try: program.main(sys.argv[1:])\n"
            "except SystemExit as end: code = end.code\n"
            f"print(code, sorted(set({HEAVY!r}) & set(sys.modules)))",
            *words,
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(shell: str) -> None:
    told = CliRunner().invoke(program, ["completion", shell])
    assert told.exit_code == 0
    assert "_POSTMASK_COMPLETE" in told.stdout
    as_json = json.loads(CliRunner().invoke(program, ["completion", shell, "--json"]).stdout)
    assert as_json == {"shell": shell, "script": told.stdout.removesuffix("\n")}


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("al", "alias"),
        ("alias ra", "random"),
        ("alias add --no", "--note"),
        ("mailbox edit --allow", "--allow-spf"),
    ],
)
def test_completion(typed: str, offered: str) -> None:
    *before, incomplete = typed.split(" ")
    complete = BashComplete(program, {}, "postmask", "_POSTMASK_COMPLETE")
    assert offered in [item.value for item in complete.get_completions(before, incomplete)]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["alias", "nonsense"],
        ["alias", "add", "--nonsense"],
        ["alias", "add"],
        ["completion", "tcsh"],
    ],
)
def test_a_wrong_command_line_is_64(words: list[str]) -> None:
    told = CliRunner().invoke(program, words)
    assert told.exit_code == os.EX_USAGE
    assert told.stdout == ""
    assert "--help" in told.stderr


def test_a_closed_standard_input_is_an_empty_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SystemExit) as end:
        program.main(["completion", "bash"])
    assert (end.value.code, sys.stdin.read()) == (0, "")


def test_configuration_that_may_not_be_read_is_78(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However it is named: --config was a wrong command line (64)."""
    file = tmp_path / "postmask.toml"
    file.touch()

    def refused(path: Path) -> bytes:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(Path, "read_bytes", refused)
    told = CliRunner().invoke(program, ["--config", str(file), "config", "check"])
    assert told.exit_code == os.EX_CONFIG
    assert told.stderr == f"postmask: {file}: can't be read: Permission denied\n"


def test_missing_configuration_is_78(tmp_path: Path) -> None:
    told = CliRunner().invoke(program, ["--config", str(tmp_path / "none.toml"), "alias", "list"])
    assert told.exit_code == os.EX_CONFIG
    assert str(tmp_path / "none.toml") in told.stderr


@pytest.mark.parametrize("name", failure.STATUSES)
def test_every_exception_that_is_named_exists(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    kind = getattr(importlib.import_module(module), attribute)
    assert issubclass(kind, Exception)
    assert f"{kind.__module__}.{kind.__qualname__}" == name


def test_an_unforeseen_exception_is_one_line_and_70(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("by \x1b zero")

    monkeypatch.setattr("postmask.cli.runtime.Runtime.settings", property(fail))
    monkeypatch.delenv("POSTMASK_DEBUG", raising=False)
    told = CliRunner().invoke(program, ["keys", "show"])
    assert told.exit_code == os.EX_SOFTWARE
    assert told.stdout == ""
    assert "Traceback" not in told.stderr
    assert "ZeroDivisionError: by \\x1b zero" in told.stderr
    assert "POSTMASK_DEBUG=1" in told.stderr
    told = CliRunner().invoke(program, ["keys", "show"], env={"POSTMASK_DEBUG": "1"})
    assert told.exit_code == os.EX_SOFTWARE
    assert "Traceback" in told.stderr


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileNotFoundError(2, "No such file or directory", "a.csv"), "a.csv: No such file or directory"),
        (OSError(28, "No space left on device"), "No space left on device"),
        (OSError("odd"), "odd"),
    ],
)
def test_what_the_system_says_is_said_without_its_number(
    error: OSError, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    failure.report(error)
    assert capsys.readouterr().err == f"postmask: {line}\n"


@pytest.mark.parametrize(
    "words", [["--json", "keys", "show"], ["keys", "--json", "show"], ["keys", "show", "--json"]]
)
def test_json_at_every_place(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    ring = Keyring([Secret(1, "2026-01-01", bytes(32)), Secret(2, "2026-02-01", bytes(31) + b"x")])
    monkeypatch.setattr("postmask.cli.runtime.Runtime.keys", ring)
    told = CliRunner().invoke(program, words)
    assert told.exit_code == 0
    assert [item["id"] for item in json.loads(told.stdout)] == [2, 1]


def test_nouns_are_all_there() -> None:
    assert set(NOUNS) == {path[0] for path in TREE if path}


def test_debugging_shows_where_a_foreseen_error_came_up(tmp_path: Path) -> None:
    words = ["--config", str(tmp_path / "none.toml"), "keys", "show"]
    told = CliRunner().invoke(program, words, env={"POSTMASK_DEBUG": "1"})
    assert told.exit_code == os.EX_CONFIG
    assert "Traceback" in told.stderr


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (PermissionError(13, "Permission denied", "/etc/x"), os.EX_NOPERM),
        (FileNotFoundError(2, "No such file", "/etc/x"), os.EX_NOINPUT),
        (ConnectionRefusedError(111, "refused"), os.EX_UNAVAILABLE),
        (TimeoutError("too long"), os.EX_UNAVAILABLE),
        (OSError(28, "No space left on device"), os.EX_IOERR),
        (failure.CommandError("no", 99), 99),
        (RuntimeError("?"), os.EX_SOFTWARE),
    ],
)
def test_statuses(error: Exception, status: int) -> None:
    assert failure.status_of(error) == status


@pytest.mark.parametrize(
    ("words", "status"), [(["--config", "/none", "keys", "show"], os.EX_CONFIG), (["none"], os.EX_USAGE)]
)
def test_a_status_is_the_same_where_nothing_can_be_said(words: list[str], status: int) -> None:
    """It was 1, doctor's for warnings, where standard error was a full disk or a pipe that nobody reads."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run([sys.executable, "-m", "postmask.cli", *words], stderr=full, check=False)
    assert done.returncode == status


def test_a_command_whose_warning_nobody_reads_is_done_all_the_same(site: Site) -> None:
    """It ended with 75, "try again", and without the records, after the domain had been added."""
    words = ["domain", "add", "new.test", "--postmaster", "me@real.test", "--mx", "short"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "postmask.cli", "--config", str(site.config), *words],
            stdout=subprocess.PIPE,
            stderr=full,
            check=True,
        )
    assert b"new.test MX 10 short\n" in done.stdout


def test_every_status_has_a_meaning() -> None:
    assert {*failure.STATUSES.values()} <= {*failure.MEANINGS}


@pytest.mark.parametrize("words", [["lab", "status"], ["lab", "down"]])
def test_a_lab_that_isnt_there(words: list[str], tmp_path: Path) -> None:
    told = CliRunner().invoke(program, [*words, str(tmp_path)])
    assert told.exit_code == os.EX_NOINPUT
    assert "there is no lab" in told.stderr


@pytest.mark.parametrize(
    "words",
    [
        ["--smtp", "0"],
        ["--sink", "nowhere"],
        ["--exec", "nonsense"],
        ["--exec", "nonsense=x"],
        ["--door", "x"],
    ],
)
def test_options_of_a_lab_that_cant_be(words: list[str], tmp_path: Path) -> None:
    assert CliRunner().invoke(program, ["lab", "up", str(tmp_path / "lab"), *words]).exit_code == os.EX_USAGE
