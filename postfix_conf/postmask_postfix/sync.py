"""Tells a Postfix that Postmask is attached to which domains are ours.

    sync_domains(config_dir, domains)

Only our own parameters are changed (postmask_domains…, postmask_host_domains, postmask_generation); the maps
and restrictions that refer to them were written when Postmask was attached. Every new value is asked with
`postmap -q` before main.cf is written, for one faulty table makes Postfix defer all mail of the
host. main.cf keeps its owner and mode, and may be a link. It returns when Postfix works by the new values:
the re-injection listener, which only root and our programs reach, greets with their generation. If it
doesn't, the old values are put back.

DIAGNOSTICS
    NotAttached: this Postfix knows nothing of Postmask. SyncError: a value doesn't do what it should.
    HostsOwn: a domain that would become ours is the host's own; all the others are told.
    PostfixError: a Postfix command failed, or Postfix doesn't take it up. Nothing is changed then.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from postmask_postfix import commands, generation, host_domains, tables
from postmask_postfix.attachment import change, plan
from postmask_postfix.attachment.entries import Entries, main_cf
from postmask_postfix.commands import PostfixError
from postmask_postfix.domains import FOREIGN, NOTHING, alternations, parameters, probe
from postmask_postfix.settings import DOMAINS, GENERATION, HOST_DOMAINS, SYNCED

_OTHERS = (FOREIGN, probe("invalid"), probe(""), "postmask-probe")


class SyncError(PostfixError):
    """Postfix could not be told of our domains; the message says why."""


class NotAttached(SyncError):  # noqa: N818 (a state rather than an error)
    """Postmask isn't attached to this Postfix."""


class HostsOwn(SyncError):  # noqa: N818 (says whose it is)
    """A domain is the host's own, and stays so: Postmask on another node can't know that."""


def attached(config_dir: Path) -> bool:
    """Whether Postmask is attached to the Postfix with this configuration directory; one that was attached by
    other means (`postmask postfix render`) needn't know of a domain yet. Raises PostfixError."""
    return any(plan.is_ours(entry.name) for entry in _entries(config_dir))


def serves(config_dir: Path) -> bool:
    """Whether it was told of a domain of ours. Raises PostfixError."""
    return any(entry.name == DOMAINS and NOTHING not in entry.text for entry in _entries(config_dir))


def _entries(config_dir: Path) -> Entries:
    try:
        return main_cf((config_dir / "main.cf").read_text("utf-8", "surrogateescape"))
    except OSError as error:
        raise PostfixError(f"{error.filename}: {error.strerror}") from error


def ours(config_dir: Path) -> re.Pattern[str]:
    """Matches the end of an address in one of the domains that this Postfix takes for ours.

    Raises NotAttached, PostfixError.
    """
    return _pattern(_attached_settings(config_dir))


def _attached_settings(config_dir: Path) -> dict[str, str]:
    if not attached(config_dir):
        raise NotAttached(f"Postmask isn't attached to the Postfix in {config_dir}")
    return {DOMAINS: NOTHING, **present_settings(config_dir)}


def _pattern(known: Mapping[str, str]) -> re.Pattern[str]:
    parts = [value for name, value in known.items() if name.startswith(f"{DOMAINS}_")]
    return re.compile(f"@(?:{'|'.join(parts or [known[DOMAINS]])})$", re.IGNORECASE)


def wanted_settings(domains: Iterable[str], host: str = NOTHING) -> dict[str, str]:
    """The parameters by which exactly these domains (lower-case A-labels) are ours.

    host: what below them is the host's, as host_domains.below() says it.
    """
    settings = {**parameters(alternations(domains)), HOST_DOMAINS: host}
    return {**settings, GENERATION: generation.name(settings)}


def wanted_on(config_dir: Path, domains: Iterable[str]) -> dict[str, str]:
    """The same on this Postfix, with what is the host's own. Raises PostfixError."""
    names = list(domains)
    return wanted_settings(names, host_domains.below(config_dir, names))


def sync_domains(config_dir: Path, domains: Collection[str], patience: float = 20.0) -> bool:
    """Make exactly these domains (lower-case A-labels) ours in Postfix; needs root.

    Returns whether anything was changed. patience: seconds that a running Postfix gets to take it up.
    """
    with commands.lock(config_dir):
        change.recover(config_dir)
        before = _attached_settings(config_dir)
        is_ours = _pattern(before).search
        own = host_domains.own(config_dir, [name for name in domains if not is_ours(f"@{name}")])
        changed = _tell(config_dir, sorted({*domains} - {*own}), before, patience)
    for name, parameter in own.items():
        raise HostsOwn(
            f"{name} is one of the host's own domains ({parameter}) and stays so, the others are told: take "
            "it out there, or remove it from Postmask"
        )
    return changed


def _tell(config_dir: Path, names: list[str], before: Mapping[str, str], patience: float) -> bool:
    """Whether anything had to be changed."""
    wanted = wanted_on(config_dir, names)
    running = commands.is_running(config_dir)
    if before == wanted and (not running or generation.in_force(config_dir, wanted[GENERATION])):
        return False
    _ask(config_dir, alternations(names), names)
    _write(config_dir, wanted)
    if running:
        _take_up(config_dir, wanted, before, patience)
    return True


def present_settings(config_dir: Path) -> dict[str, str]:
    """Our parameters as main.cf has them."""
    found = {}
    for line in commands.run("postconf", "-c", str(config_dir), "-n").splitlines():
        name, separator, value = line.partition(" =")
        if separator and (name in SYNCED or name.startswith(f"{DOMAINS}_")):
            found[name] = value.strip()
    return found


def _ask(config_dir: Path, parts: tuple[str, ...], names: list[str]) -> None:
    """Make sure that the parts together match our domains, each once, and nothing else."""
    keys = [probe(name) for name in names]
    found: list[str] = []
    for part in parts:
        found += tables.answers(config_dir, f"regexp:{{ {{/@({part})$$/ ours}} }}", [*keys, *_OTHERS])
    if sorted(found) != sorted(keys):
        odd = ", ".join(sorted(set(found) ^ set(keys))[:3])
        raise SyncError(f"Postfix would not take exactly our domains for ours (see {odd})")


def _write(config_dir: Path, settings: Mapping[str, str]) -> None:
    """Have exactly these of our parameters, all in one rename of main.cf."""
    change.replace(config_dir / "main.cf", plan.told(change.read(config_dir).main, settings))


def _take_up(config_dir: Path, wanted: Mapping[str, str], before: Mapping[str, str], patience: float) -> None:
    """Reload, and wait for the new values to be in force; else put the old ones back."""
    try:
        commands.reload(config_dir)
        generation.await_force(config_dir, wanted[GENERATION], patience)
    except PostfixError:
        _write(config_dir, before)
        commands.reload(config_dir)
        raise
