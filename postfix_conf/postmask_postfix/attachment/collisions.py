"""What of a site's stands in the way of attaching, each with the choice to make.

DIAGNOSTICS
    Collision: attaching would break something, ours or the site's; nothing was changed.
"""

from __future__ import annotations

import enum
import pwd
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postmask_postfix import tables
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment import plan
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.services import listed
from postmask_postfix.attachment.site import OWN_DOMAINS, REWRITING, Site
from postmask_postfix.commands import PostfixError
from postmask_postfix.domains import probe
from postmask_postfix.settings import GENERATION, SettingsContext

LEAST = (3, 7)
"""The first Postfix release with inline regexp: tables, which all our settings need."""


class Kind(enum.StrEnum):
    """What it is that is in the way."""

    VERSION = "version"
    NAME = "name"
    USER = "user"
    CHROOT = "chroot"
    OWN_DOMAIN = "own domain"
    REWRITTEN = "rewritten"


@dataclass(frozen=True, slots=True)
class Obstacle:
    """where: the parameter, service, user or domain. what: what is in the way, and the choice to make."""

    kind: Kind
    where: str
    what: str


class Collision(PostfixError):  # noqa: N818 (says what is in the way)
    """Something is in the way. details: each of it, with what to do."""

    def __init__(self, config_dir: object, found: Sequence[str]) -> None:
        super().__init__(f"Postmask can't be attached to the Postfix in {config_dir}; nothing was changed")
        self.details = tuple(found)


def check(
    site: Site, current: Configuration, context: SettingsContext, domains: Sequence[str], *, recorded: bool
) -> None:
    """Raise Collision if anything is in the way. recorded: whether Postmask is attached already."""
    found = [one.what for one in obstacles(site, current, context, domains, recorded=recorded)]
    if found:
        raise Collision(site.config_dir, found)


def obstacles(
    site: Site, current: Configuration, context: SettingsContext, domains: Sequence[str], *, recorded: bool
) -> tuple[Obstacle, ...]:
    """All that is in the way. recorded: whether Postmask is attached already. Raises PostfixError."""
    if site.version < LEAST:
        version = site.values["mail_version"]
        what = (
            f"this is Postfix {version}, Postmask needs 3.7 or newer for tables that "
            "stand in main.cf itself (a missing file would stop all mail of the host): upgrade Postfix"
        )
        return (Obstacle(Kind.VERSION, "mail_version", what),)
    return (
        *(_names(current) if not recorded else ()),
        *_users(context),
        *_chroots(site, current, context),
        *_domains(site, domains),
        *_masqueraded(site, domains),
    )


def _names(current: Configuration) -> Iterator[Obstacle]:
    """Parameters and services of our names that nobody recorded."""
    main = files.main_cf(current.main)
    if files.last(main, GENERATION):
        return  # From a backup: ours, without the record.
    for name in dict.fromkeys(entry.name for entry in main if plan.is_ours(entry.name)):
        what = f"main.cf has a parameter {name}, which isn't Postmask's: rename or remove it"
        yield Obstacle(Kind.NAME, str(name), what)
    for service in listed(files.master_cf(current.master)):
        if plan.is_our_service(service.name):
            what = f"master.cf has a service {service.name}, which isn't Postmask's: rename or remove it"
            yield Obstacle(Kind.NAME, service.name, what)


def _users(context: SettingsContext) -> Iterator[Obstacle]:
    user = context.pipe_user.partition(":")[0]
    try:
        pwd.getpwnam(user)
    except KeyError:
        yield Obstacle(
            Kind.USER,
            user,
            f"there is no user {user}, as whom pipe(8) is to run the client: make it (adduser --system "
            f"--no-create-home --group {user}), or name another: postfix.pipe_user",
        )


def _chroots(site: Site, current: Configuration, context: SettingsContext) -> Iterator[Obstacle]:
    """Sockets outside of the queue directory can't be reached from a chroot."""
    if not context.sockets.startswith("/"):
        return
    for service in listed(files.master_cf(current.master)):
        chrooted = service.chroot == "y" or (service.chroot == "-" and site.chroots)
        if service.command == "smtpd" and chrooted and not plan.is_our_service(service.name):
            yield Obstacle(
                Kind.CHROOT,
                service.name,
                f"{service.name} runs chrooted in {site.queue} and can't reach {context.sockets}: give it n "
                f"in the chroot column of master.cf, or have the sockets below {site.queue} "
                "(sockets.directory)",
            )


def _domains(site: Site, domains: Sequence[str]) -> Iterator[Obstacle]:
    """Our domains must not be the host's own, nor may their addresses be rewritten before we see them."""
    for name in OWN_DOMAINS:
        for domain in tables.known(site.config_dir, site.values[name], domains):
            yield Obstacle(
                Kind.OWN_DOMAIN,
                f"{name}: {domain}",
                f"{domain} is one of the host's own domains ({name}), whose mail would all go to aliases: "
                f"take it out there, or remove it here (postmask domain remove {domain}) and use a subdomain",
            )
    addresses = {probe(domain): domain for domain in domains}
    keys = [*addresses, *(f"@{domain}" for domain in domains)]
    for name in REWRITING:
        for key, answer in tables.known(site.config_dir, site.values[name], keys).items():
            yield Obstacle(
                Kind.REWRITTEN,
                f"{name}: {key}",
                f"{name} turns {key} into {answer} before Postmask would see it: make an exception for "
                f"{key.rpartition('@')[2]} there",
            )


def _masqueraded(site: Site, domains: Sequence[str]) -> Iterator[Obstacle]:
    """Of a recipient at a domain below one that is masqueraded only the local part would be left."""
    if "envelope_recipient" not in tables.elements(site.values["masquerade_classes"]):
        return
    masquerades = tables.elements(site.values["masquerade_domains"].lower())
    for domain in domains:
        names = (one for one in masquerades if f".{domain}".endswith(f".{one.lstrip('!')}"))
        first = next(names, domain)
        if first != domain and not first.startswith("!"):
            yield Obstacle(
                Kind.REWRITTEN,
                f"masquerade_domains: {domain}",
                f"masquerade_domains turns recipients at {domain} into ones at {first}, since "
                f"masquerade_classes has envelope_recipient: take that out, or put !{domain} before {first}",
            )
