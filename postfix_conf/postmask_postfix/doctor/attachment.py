"""What is ours in a Postfix, whether it is as it was attached, and whether our mail comes to us. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postmask.doctor.finding import Code, Finding
from postmask_postfix.attachment import plan
from postmask_postfix.attachment.collisions import Kind, Obstacle
from postmask_postfix.attachment.detach import Standing, Status
from postmask_postfix.attachment.drift import OURS
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.doctor import codes
from postmask_postfix.domains import names

_OBSTACLES: Mapping[Kind, Code] = {
    Kind.VERSION: codes.VERSION,
    Kind.NAME: codes.DRIFT,
    Kind.USER: codes.PIPE_USER,
    Kind.CHROOT: codes.CHROOT,
    Kind.OWN_DOMAIN: codes.OWN_DOMAIN,
    Kind.REWRITTEN: codes.REWRITTEN,
}
_SHOWN = 5
_RENAME = "Rename or remove it; postmask postfix attach is refused until then."


@dataclass(frozen=True, slots=True)
class Attachment:
    """What was found of it.

    status: how it stands; None where not even root's record can be read. obstacles: what would be in the way
    of attaching. relayed: domains of ours that the host itself relays.
    now, wanted: the configuration, and what attaching would make of it.
    domains, wanted_domains: the parameters by which our domains are ours, as they are and as the database has
    it. running: whether Postfix is, None where only root could tell; in_force: whether it works by its files.
    nexthop: where our mail should go; routes: by a probe's address, where it goes.
    """

    status: Status | None
    obstacles: tuple[Obstacle, ...]
    relayed: tuple[str, ...]
    now: Configuration
    wanted: Configuration | None
    domains: Mapping[str, str]
    wanted_domains: Mapping[str, str]
    running: bool | None
    in_force: bool
    nexthop: str
    routes: Mapping[str, str]


def lint(found: Attachment) -> Iterator[Finding]:
    """All that is wrong."""
    for obstacle in found.obstacles:
        advice = _RENAME if obstacle.kind is Kind.NAME else ""
        yield _OBSTACLES[obstacle.kind].at(obstacle.where, obstacle.what, advice=advice)
    for domain in found.relayed:
        yield codes.RELAYED.at("relay_domains", f"relay_domains has {domain} besides")
    if found.status is None:
        yield codes.NOT_ROOT.at("postmask-attachment.json", "the record of the attachment is root's")
    elif found.status.standing is Standing.DETACHED:
        return
    else:
        yield from _standing(found.status)
    if found.running is None:
        yield codes.NOT_ROOT.at("postfix", "whether Postfix runs, and by these files, only root can tell")
    elif not found.running:
        yield codes.NOT_RUNNING.at("postfix")
    elif not found.in_force:
        yield codes.NOT_IN_FORCE.at("postfix")
    if found.domains != found.wanted_domains:
        yield codes.DOMAINS.at("postmask_domains", _domains(found))
    drifted = found.status is not None and found.status.standing is Standing.DRIFTED
    if found.wanted is not None and not drifted and _settled(found.now) != _settled(found.wanted):
        yield codes.OUTDATED.at("main.cf and master.cf")
    for address, route in found.routes.items():
        domain = address.rpartition("@")[2]
        if route != found.nexthop and domain in names(found.domains):
            yield codes.ROUTE.at(domain, f"mail to {domain} goes to {route or 'no transport of ours'}")


def _domains(found: Attachment) -> str:
    """Which ones Postfix doesn't know, or knows though they aren't ours."""
    known, ours = names(found.domains), names(found.wanted_domains)
    parts = []
    if lacking := ours - known:
        parts.append(f"doesn't answer for {_listed(lacking)}")
    if added := known - ours:
        parts.append(f"answers for {_listed(added)}, not ours by the database")
    return f"Postfix {'; it '.join(parts)}" if parts else ""


def _listed(domains: frozenset[str]) -> str:
    shown = sorted(domains)[:_SHOWN]
    more = len(domains) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _standing(status: Status) -> Iterator[Finding]:
    if status.standing is Standing.INTERRUPTED:
        yield codes.INTERRUPTED.at("main.cf and master.cf")
    if not status.recorded:
        yield codes.UNRECORDED.at("postmask-attachment.json")
    for one in status.differences:
        if one.whose == OURS:
            what = f"{one.setting} was {one.left or 'not there'}, and is {one.now or 'gone'}"
            yield codes.DRIFT.at(one.setting, what)


def _settled(configuration: Configuration) -> tuple[str, str]:
    """Without the set of our domains, which has a finding of its own."""
    return plan.settled(configuration.main), configuration.master
