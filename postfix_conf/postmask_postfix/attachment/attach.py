"""Attaches Postmask to a Postfix: all of it, or nothing.

    attach(request)      plan, try, record, write, reload, talk to every listener; put back what is wrong
    preview(request)     the same without changing anything: a unified diff

A second call changes nothing. A call that died is undone by the next one, whichever of attach, detach, sync
and status that is.

DIAGNOSTICS
    Collision: something of the site's is in the way. PostfixError: a tool, a table or a listener says that
    it would not work; everything is as it was.
"""

from __future__ import annotations

import difflib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from postmask_postfix import commands, generation, host_domains
from postmask_postfix.attachment import change, collisions, dialogue, listeners, plan, site, trial
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment import journal as journals
from postmask_postfix.attachment.collisions import Collision
from postmask_postfix.attachment.dialogue import Answers
from postmask_postfix.attachment.journal import Journal, State
from postmask_postfix.attachment.listeners import Listener
from postmask_postfix.attachment.notices import notices
from postmask_postfix.attachment.plan import Configuration, Record, Wanted
from postmask_postfix.attachment.site import Site
from postmask_postfix.commands import PostfixError
from postmask_postfix.domains import FOREIGN, probe
from postmask_postfix.settings import GENERATION, SettingsContext
from postmask_postfix.sync import wanted_on
from postmask_postfix.tables import elements

_UNKNOWN = "postmask-probe.aaaaaaaaaaaaaaaaaaaaaaaa"
"""No alias, and in the form of a reverse alias that is forged: nothing is ever made for it."""
_DOMAINS_ASKED = 2


@dataclass(frozen=True, slots=True)
class Request:
    """config_dir: of the Postfix. context: as the configuration has it; what depends on that Postfix
    is filled in. sockets: the folder of our sockets. domains: ours, in lower-case A-labels."""

    config_dir: Path
    context: SettingsContext
    sockets: Path
    domains: Sequence[str]
    patience: float = 20.0


@dataclass(frozen=True, slots=True)
class Done:
    """changed: whether anything had to be. notes: what a person should know of it."""

    changed: bool
    notes: tuple[str, ...] = ()


def preview(request: Request) -> str:
    """What attaching would change, as a unified diff; "" for nothing. Raises PostfixError."""
    now = change.read(request.config_dir)
    return unified(request.config_dir, now, _planned(request, now)[1])


def unified(config_dir: Path, old: Configuration, new: Configuration) -> str:
    """The difference between two configurations."""
    return "".join(
        _unified(str(config_dir / name), one, other)
        for name, one, other in (("main.cf", old.main, new.main), ("master.cf", old.master, new.master))
    )


def _unified(path: str, old: str, new: str) -> str:
    lines = difflib.unified_diff(old.splitlines(True), new.splitlines(True), path, path)
    missing = "\n\\ No newline at end of file\n"
    return "".join(line if line.endswith("\n") else line + missing for line in lines)


def attach(request: Request) -> Done:
    """Attach. Raises PostfixError."""
    config_dir = request.config_dir
    with commands.lock(config_dir):
        recovered = change.recover(config_dir)
        notes = [recovered] if recovered else []
        now = change.read(config_dir)
        there, wanted = _planned(request, now)
        notes += notices(there, now, host_domains.relayed(config_dir, request.domains))
        earlier = journals.read(config_dir)
        record = Record(_original(now, earlier), wanted)
        if wanted == now:
            if earlier is None or earlier.record != record:
                journals.write(config_dir, Journal(State.ATTACHED, record))
            return Done(changed=False, notes=tuple(notes))
        trial.check(config_dir, wanted, context_on(request, there), request.domains)
        journal = Journal(State.ATTACHING, record, now, earlier.record if earlier else None)
        notes += _carry_out(request, there, journal)
        return Done(changed=True, notes=tuple(notes))


def _original(now: Configuration, earlier: Journal | None) -> Configuration:
    """What detaching is to leave: this configuration without us."""
    return plan.detached(now, earlier.record if earlier else None)


def _planned(request: Request, now: Configuration) -> tuple[Site, Configuration]:
    """The site, and its configuration with us attached. Raises Collision."""
    there = site.read(request.config_dir)
    context = context_on(request, there)
    recorded = journals.read(request.config_dir) is not None
    collisions.check(there, now, context, request.domains, recorded=recorded)
    defaults = site.defaults(request.config_dir, now)
    wanted = Wanted(context, wanted_on(request.config_dir, request.domains), defaults)
    return there, plan.attached(now, wanted)


def context_on(request: Request, there: Site) -> SettingsContext:
    """The settings' context on this Postfix."""
    return replace(
        request.context,
        sockets=listeners.sockets_below(there.queue, request.sockets),
        message_size_limit=int(there.values["message_size_limit"]),
    )


def _carry_out(request: Request, there: Site, journal: Journal) -> list[str]:
    """Record, write, reload and look. Puts everything back where that goes wrong."""
    config_dir, wanted = request.config_dir, journal.record.attached
    assert journal.before is not None
    running = commands.is_running(config_dir)
    asked = _recipients(there, request.domains)
    doors = listeners.of(there, wanted) if running else ()
    for door in doors:
        if door.screened:
            dialogue.ask(door, list(asked))  # postscreen(8) treats a client that it knows another way.
    before = dialogue.ask_all(doors, list(asked))
    _need_reach(config_dir, doors, before)
    if change.read(config_dir) != journal.before:
        raise PostfixError(f"somebody else has changed {config_dir} meanwhile, nothing is done: attach again")
    journals.write(config_dir, journal)
    try:
        change.attach_files(config_dir, wanted)
        if running:
            commands.reload(config_dir)
            settings = files.value(files.last(files.main_cf(wanted.main), GENERATION))
            generation.await_force(config_dir, settings, request.patience)
            _look(doors, asked, before, request.patience)
        journals.write(config_dir, Journal(State.ATTACHED, journal.record))
    except BaseException:
        change.undo(config_dir, journal)
        if running and not commands.is_running(config_dir):
            commands.run("postfix", "-c", str(config_dir), "start")
        raise
    return _notes(doors, before, running=running)


def _need_reach(config_dir: Path, doors: Sequence[Listener], before: dict[str, Answers]) -> None:
    """Refuse a reload where the running Postfix isn't the one that the files describe: it may die of it."""
    found = [
        f"{door.name}: {answers['']}, although Postfix runs: was master.cf changed without a reload? See to "
        "it that postfix reload works first"
        for door in doors
        if (answers := before[door.name]).get("", "").startswith(dialogue.UNREACHABLE)
    ]
    if found:
        raise Collision(config_dir, found)


def _look(
    doors: Sequence[Listener], asked: dict[str, bool], before: dict[str, Answers], patience: float
) -> None:
    """Talk to every listener; PostfixError if one isn't as it was.

    An smtpd that waited for a client when Postfix was reloaded may still serve one by the old settings.
    """
    give_up = time.monotonic() + patience
    while True:
        after = dialogue.ask_all(doors, list(asked))
        wrong = [
            complaint
            for door in doors
            for complaint in dialogue.complaints(door, before[door.name], after[door.name], asked)
        ]
        if not wrong:
            return
        if time.monotonic() > give_up:
            raise ListenerError(wrong)
        time.sleep(0.2)


class ListenerError(PostfixError):
    """A listener isn't as it was before. details: which, and what it said."""

    def __init__(self, wrong: Sequence[str]) -> None:
        super().__init__("with Postmask attached a listener is not as it was; everything is put back")
        self.details = tuple(wrong)


def _recipients(there: Site, domains: Sequence[str]) -> dict[str, bool]:
    """Whom to ask for, and whether that is one of ours: ours unknown, a foreign one, the host's own."""
    recipients = {f"{_UNKNOWN}@{domain}": True for domain in sorted(domains)[:_DOMAINS_ASKED]}
    recipients[FOREIGN] = False
    for name in (*site.OWN_DOMAINS, "relay_domains"):
        plain = [word for word in elements(there.values[name]) if word[:1].isalnum() and ":" not in word]
        for domain in [word for word in plain if word not in domains][:_DOMAINS_ASKED]:
            recipients |= {f"postmaster@{domain}": False, probe(domain): False}
    return recipients


def _notes(doors: Sequence[Listener], before: dict[str, Answers], *, running: bool) -> list[str]:
    if not running:
        return ["this Postfix isn't running, so its listeners could not be talked to"]
    return [
        f"{door.name} could not be talked to before either: {before[door.name]['']}"
        for door in doors
        if dialogue.kind(before[door.name].get("", "250")) == "broken"
    ]
