"""A Postfix's facts, and how Postmask is attached to it: asked of Postfix's own commands, files and tables.

DIAGNOSTICS
    PostfixError: postconf or master.cf can't be read. What a single table says wrong is a fact.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from postmask_postfix import commands, generation, host_domains, sync, tables
from postmask_postfix.attachment import attach, change, collisions, detach, plan, site
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment.attach import Request
from postmask_postfix.attachment.services import listed
from postmask_postfix.commands import PostfixError
from postmask_postfix.doctor import passage
from postmask_postfix.doctor.attachment import Attachment
from postmask_postfix.doctor.facts import Facts
from postmask_postfix.domains import probe
from postmask_postfix.settings import GENERATION

_TRIES = 3
_SAID = re.compile(r"(?:[^\s:]*/)?post(?:fix-script|conf|fix|super)(?:\[\d+\])?: (?:warning: )?(.*)")
_IN_DATABASE = re.compile(r"(?:proxy:)?(?:mysql|pgsql):(/.*)")
_HOSTS = re.compile(r"(?m)^\s*hosts\s*=(.*)$")


def read(config_dir: Path, domains: tuple[str, ...]) -> Facts:
    """Look at everything. domains: ours. As root, Postfix's own check is run too. Raises PostfixError."""
    said = commands.finished(["postconf", "-c", str(config_dir), "-x"])
    if said.returncode:
        raise PostfixError(said.stderr.strip())
    own = commands.run("postconf", "-c", str(config_dir), "-Px")
    configuration = change.read(config_dir)
    overrides = dict(_overrides(own))
    named = {entry.name for entry in files.main_cf(configuration.main) if entry.name}
    facts = Facts(
        commands.pairs(said.stdout),
        listed(files.master_cf(configuration.master)),
        overrides,
        frozenset(named | {name for (service, name) in overrides if not plan.is_our_service(service)}),
        warnings=tuple(dict.fromkeys(_warnings(config_dir, said.stderr))),
    )
    asked, broken = _asked(config_dir, facts, domains)
    return replace(facts, asked=asked, broken=broken, hosts=dict(_hosts(facts)))


def _overrides(text: str) -> Iterator[tuple[tuple[str, str], str]]:
    for key, value in commands.pairs(text).items():
        service, _, name = key.rpartition("/")
        yield (service, name), value


def _warnings(config_dir: Path, postconf: str) -> Iterator[str]:
    said = postconf
    if os.geteuid() == 0:
        said += commands.finished(["postfix", "-c", str(config_dir), "check"]).stderr
    for line in said.splitlines():
        found = _SAID.fullmatch(line.strip())
        text = found[1] if found else line.strip()
        if text and not text.startswith("Postfix is running with backwards-compatible"):
            yield text


def _asked(
    config_dir: Path, facts: Facts, domains: tuple[str, ...]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """What the lists of tables answer, each asked once for all that one may want to know; and which fail."""
    keys: dict[str, set[str]] = {}
    for name, command, wanted in (
        ("header_checks", "cleanup", passage.RECEIVED),
        ("smtp_header_checks", "smtp", passage.SIGNED),
        ("smtp_generic_maps", "smtp", passage.generic_keys(domains)),
    ):
        for _, value in facts.by_value(name, facts.site(command)):
            keys.setdefault(value, set()).update(wanted)
    answers: dict[str, dict[str, str]] = {}
    broken = {}
    for value, asked in keys.items():
        try:
            answers[value] = tables.known(config_dir, value, sorted(asked))
        except PostfixError as trouble:
            broken[value] = str(trouble)
    return answers, broken


def _hosts(facts: Facts) -> Iterator[tuple[str, int]]:
    """The tables in databases, and on how many hosts each is asked."""
    for value in {*_listed(facts.values, facts.named), *facts.overrides.values()}:
        for table in tables.elements(value):
            if found := _IN_DATABASE.fullmatch(table):
                try:
                    text = Path(found[1]).read_text(encoding="utf-8", errors="replace")
                except OSError:
                    continue  # Postfix couldn't ask it either, and says so.
                hosts = _HOSTS.search(text)
                yield table.removeprefix("proxy:"), len(hosts[1].replace(",", " ").split()) if hosts else 1


def _listed(values: Mapping[str, str], named: frozenset[str]) -> Iterator[str]:
    return (values[name] for name in named if name in values)


def attachment(request: Request) -> Attachment:
    """How Postmask is attached. Nothing is made good. Raises PostfixError."""
    config_dir = request.config_dir
    now = change.read(config_dir)
    there = site.read(config_dir)
    context = attach.context_on(request, there)
    settings = sync.present_settings(config_dir)
    wanted = sync.wanted_on(config_dir, request.domains)
    attached = bool(settings)
    obstacles = collisions.obstacles(there, now, context, request.domains, recorded=attached)
    # postfix(1) speaks to root alone.
    running = commands.is_running(config_dir) if os.geteuid() == 0 else None
    return Attachment(
        _status(config_dir),
        obstacles,
        host_domains.relayed(config_dir, request.domains),
        now,
        plan.attached(now, plan.Wanted(context, wanted, site.defaults(config_dir, now)))
        if attached
        else None,
        settings,
        wanted,
        running,
        bool(running) and _in_force(config_dir, settings.get(GENERATION, "")),
        context.nexthop,
        _routes(config_dir, request.domains) if attached else {},
    )


def _in_force(config_dir: Path, wanted: str) -> bool:
    """Whether Postfix works by it; a busy one may be slow to answer."""
    return any(generation.in_force(config_dir, wanted) for _ in range(_TRIES))


def _status(config_dir: Path) -> detach.Status | None:
    try:
        return detach.standing(config_dir)
    except PostfixError:
        if os.geteuid() == 0:
            raise
        return None


def _routes(config_dir: Path, domains: Iterable[str]) -> dict[str, str]:
    """Where mail to our domains goes, the site's own maps included."""
    keys = [probe(domain) for domain in domains]
    value = commands.values(config_dir, "transport_maps")["transport_maps"]
    return {**dict.fromkeys(keys, ""), **tables.known(config_dir, value, keys)}
