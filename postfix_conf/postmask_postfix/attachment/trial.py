"""A configuration tried before it is put in its place: a copy of the folder, asked with Postfix's own tools.

Every table of ours is asked as Postfix would ask it, the transport past the site's own maps as well, and
`postfix check` looks at the copy.

DIAGNOSTICS
    PostfixError: what the tools say, or what a table answered instead of what it should.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from postmask_postfix import commands, render, tables
from postmask_postfix.attachment import journal
from postmask_postfix.attachment.entries import Entry, joined, last, main_cf, replaced, value
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.commands import PostfixError
from postmask_postfix.domains import FOREIGN, probe
from postmask_postfix.instance import cool
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.settings import SettingsContext


def check(config_dir: Path, wanted: Configuration, context: SettingsContext, domains: Sequence[str]) -> None:
    """Raise PostfixError unless this configuration does what it should."""
    with _copy(config_dir, wanted) as copy:
        _ask_ours(copy, context, domains)
        _ask_route(copy, context, domains)
        commands.run("postfix", "-c", str(copy), "check")


@contextlib.contextmanager
def _copy(config_dir: Path, wanted: Configuration) -> Iterator[Path]:
    """The folder with these files in it; the others are links."""
    with tempfile.TemporaryDirectory(prefix="postmask-trial-") as name:
        copy = Path(name)
        for other in config_dir.iterdir():
            if other.name not in ("main.cf", "master.cf", journal.NAME):
                (copy / other.name).symlink_to(other.absolute())
        for file, text in (("main.cf", _moved(wanted.main, config_dir, copy)), ("master.cf", wanted.master)):
            (copy / file).write_bytes(journal.octets(text))
            cool(copy / file)
        yield copy


def _moved(main: str, config_dir: Path, copy: Path) -> str:
    """A main.cf that says where it lies says where the copy does, or every command would warn of that."""
    found = main_cf(main)
    there = last(found, "config_directory")
    if there is None or value(there) != str(config_dir):
        return main
    return joined(replaced(found, there, Entry(there.name, f"config_directory = {copy}\n")))


def _ask_ours(copy: Path, context: SettingsContext, domains: Sequence[str]) -> None:
    """Our own tables, each with what it must say to an address or domain of ours."""
    values = {name: "" for name in map(render.holder_name, PARAMETERS) if name}
    values |= commands.values(copy, *values)
    gate = values["postmask_smtpd_recipient_restrictions"].removeprefix("check_recipient_access")
    probes = [probe(domain) for domain in domains]
    _ask(copy, gate, probes, "postmask_gate")
    _ask(copy, values["postmask_transport_maps"], probes, context.nexthop)
    _ask(copy, values["postmask_relay_domains"], list(domains), "1")
    if values["postmask_relay_recipient_maps"]:
        _ask(copy, values["postmask_relay_recipient_maps"], probes, "1")


def _ask(copy: Path, value: str, keys: list[str], answer: str) -> None:
    (table,) = tables.elements(value)
    said = tables.answers(copy, table, [*keys, FOREIGN])
    if said != dict.fromkeys(keys, answer):
        odd = next(key for key in [*keys, FOREIGN] if said.get(key) != (answer if key in keys else None))
        raise PostfixError(
            f"Postfix would not take exactly our domains for ours: {odd} gives {said.get(odd, 'nothing')!r}"
        )


def _ask_route(copy: Path, context: SettingsContext, domains: Sequence[str]) -> None:
    """Where an address of ours goes, map by map as trivial-rewrite(8) asks them, the site's own included."""
    value = commands.values(copy, "transport_maps")["transport_maps"]
    keys = [probe(domain) for domain in domains]
    for key, answer in tables.known(copy, value, [*keys, FOREIGN]).items():
        if key in keys and answer != context.nexthop:
            raise PostfixError(
                f"the site's transport_maps send {key} to {answer}: let $postmask_transport_maps stand first"
            )
