"""`postmask config`: the configuration file, checked and shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from postmask.cli.command import Noun
from postmask.cli.output import Column
from postmask.cli.runtime import Runtime
from postmask.display import printable

if TYPE_CHECKING:
    from postmask.config import Shown

_COLUMNS = (Column("key", "KEY"), Column("value", "VALUE"), Column("origin", "FROM"))


@click.group(cls=Noun, examples=("postmask config check", "postmask config show"))
def config() -> None:
    """The configuration file. Its settings are described in postmask.toml(5)."""


@config.command("check", examples=("postmask config check", "postmask config check --config ./new.toml"))
@click.pass_obj
def check(runtime: Runtime) -> None:
    """Read the file; say what is wrong with it and where (exit status 78), or that it is in order."""
    file = str(runtime.settings.file)
    if runtime.output.json:
        return runtime.output.record({"file": file, "ok": True})
    runtime.output.say(f"{file} is in order")
    return None


@config.command("show", examples=("postmask config show", "postmask config show database.url"))
@click.argument("key", required=False)
@click.pass_obj
def show(runtime: Runtime, key: str | None) -> None:
    """Show every setting, or one, with its value and where that comes from. Passwords are masked.

    With --json `inf`, which JSON doesn't have, is the text "inf".
    """
    from postmask.config import shown

    settings = list(shown(runtime.settings))
    found = [setting for setting in settings if key in (None, setting.name)]
    if not found:
        raise click.UsageError(_no_setting(str(key), [setting.name for setting in settings]))
    if runtime.output.json:
        records = [{"key": item.name, "value": _for_json(item), "origin": item.origin} for item in found]
        return runtime.output.record(records[0]) if key else runtime.output.table(records, _COLUMNS, empty="")
    rows = [{"key": item.name, "value": item.text, "origin": item.origin} for item in found]
    runtime.output.table(rows, _COLUMNS, empty="")
    return None


def _for_json(item: Shown) -> object:
    return item.text if item.value == math.inf else item.value


def _no_setting(name: str, names: Sequence[str]) -> str:
    """What to say of one that there isn't."""
    from postmask.config import nearest_key

    section, _, key = name.rpartition(".")
    near = nearest_key(section, key, names)
    advice = f"did you mean {near}?" if near else "`postmask config show` lists them all"
    return f"there is no setting {printable(name)}; {advice}"
