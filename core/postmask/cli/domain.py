"""`postmask domain`: the domains in which aliases live, their DKIM keys and DNS records."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from postmask import dnsrecords
from postmask.cli import postfix_facts, postfix_sync, purging, spampolicy
from postmask.cli.command import Noun, account_option
from postmask.cli.failure import CommandError
from postmask.cli.output import Column, fields, removed
from postmask.cli.runtime import Runtime
from postmask.cli.spampolicy import spam_edit_options, spam_options
from postmask_postfix import commands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.orm import Session

    from postmask.cli.dkimkeys import NewKey
    from postmask.store.admin.policies import Values
    from postmask.store.admin.views import DomainView

_COLUMNS = (
    Column("name", "DOMAIN"),
    Column("account", "ACCOUNT", 40),
    Column("postmaster", "POSTMASTER"),
    Column("aliases", "ALIASES"),
)
_RECORD_COLUMNS = (
    Column("published", "PUBLISHED"),
    Column("type", "TYPE"),
    Column("name", "NAME"),
    Column("value", "VALUE", 60),
)


def _names(
    ctx: click.Context,  # noqa: ARG001 - click's signature
    parameter: click.Parameter,  # noqa: ARG001 - click's signature
    values: tuple[str, ...],
) -> tuple[str, ...]:
    """What an MX record can name, before anything is changed. Raises AddressError, CommandError."""
    from postmask.address import parse_domain

    names = tuple(map(parse_domain, values))
    for name in names:
        if name.rpartition(".")[2].isdigit():
            raise CommandError(f"{name} is an address; an MX record takes a host's name", os.EX_DATAERR)
    return names


_mx_option = click.option(
    "--mx",
    "exchangers",
    multiple=True,
    callback=_names,
    metavar="HOST",
    help="A mail exchanger of the domain, several times if need be. [default: this host's Postfix]",
)


@click.group(
    cls=Noun,
    examples=(
        "postmask domain add alias.example.com --postmaster me@example.com",
        "postmask domain verify alias.example.com",
    ),
)
def domain() -> None:
    """The domains in which aliases live."""


@domain.command(
    "add",
    examples=(
        "postmask domain add alias.example.com --postmaster me@example.com",
        "postmask domain add alias.example.com --postmaster me@example.com --ed25519 --mx mx1.example.com",
        "postmask domain add alias.example.com --postmaster me@example.com --spam-refuse 2.0",
    ),
)
@click.argument("name", metavar="DOMAIN")
@click.option(
    "--postmaster",
    metavar="ADDRESS",
    help="Where mail to postmaster@ and abuse@ goes; asked for if not given.",
)
@click.option("--ed25519", is_flag=True, help="Make a second DKIM key, Ed25519, beside the one of RSA-2048.")
@_mx_option
@spam_options
@account_option
@click.pass_obj
def add(
    runtime: Runtime,
    name: str,
    postmaster: str | None,
    ed25519: bool,
    exchangers: tuple[str, ...],
    account: str | None,
    spam: Values,
) -> None:
    """Add a domain, make its DKIM key, and print the DNS records to publish.

    A domain in which this host has mailboxes of its own is refused: use a subdomain of it. As root,
    this returns when Postfix on this node answers for the domain; otherwise it prints what root has to
    run.
    """
    from postmask.address import parse_domain
    from postmask.auth.dkim import Algorithm
    from postmask.cli.dkimkeys import make
    from postmask.store.admin import domains
    from postmask.store.admin.rules import Target

    name = parse_domain(name)
    _refuse_own(runtime, name)
    postmaster = postmaster or _ask_postmaster(runtime, name)
    algorithms = [Algorithm.RSA, Algorithm.ED25519] if ed25519 else [Algorithm.RSA]
    now = runtime.clock.now()
    keys = make(runtime.keys, name, algorithms, now)
    with postfix_sync.made_good(runtime), runtime.changing() as session:
        domains.add(session, name, postmaster, account=account, now=now)
        _store(session, name, keys, now)
        made = domains.get(session, name)
        rules = spampolicy.changed(runtime, session, Target(domain=name), spam)
    told = postfix_sync.tell(runtime)
    records = _records(runtime, made, exchangers)
    if runtime.output.json:
        dns = [_plain(record) for record in records]
        return runtime.output.record(made, spam=rules, dns=dns, postfix=told)
    runtime.output.say(f"{name} is ours. Publish these DNS records (name, type, value), a line each:")
    for record in records:
        runtime.output.copy(record.line())
    postfix_sync.say(runtime, told)
    return None


@domain.command("list", examples=("postmask domain list",))
@account_option
@click.pass_obj
def list_(runtime: Runtime, account: str | None) -> None:
    """List the domains."""
    from postmask.store.admin import domains

    with runtime.reading() as session:
        found = domains.listing(session, account=account)
    runtime.output.table(found, _COLUMNS, empty="there is no domain yet; add one: postmask domain add DOMAIN")


@domain.command("show", examples=("postmask domain show alias.example.com",))
@click.argument("name", metavar="DOMAIN")
@click.pass_obj
def show(runtime: Runtime, name: str) -> None:
    """Show a domain, its DKIM keys and the rules of the spam check that count for it."""
    from postmask.store.admin import domains
    from postmask.store.admin.rules import Target

    with runtime.reading() as session:
        found = domains.get(session, name)
        spam = spampolicy.shown(runtime, session, Target(domain=name))
    _show(runtime, found, spam)


@domain.command(
    "edit",
    examples=(
        "postmask domain edit alias.example.com --postmaster me@example.com",
        "postmask domain edit alias.example.com --add-key rsa",
        "postmask domain edit alias.example.com --drop-key pm20260101120000r",
        "postmask domain edit alias.example.com --spam-refuse 2.0 --spam-when-unscanned defer",
    ),
)
@click.argument("name", metavar="DOMAIN")
@click.option("--postmaster", metavar="ADDRESS", help="Where mail to postmaster@ and abuse@ goes.")
@click.option("--account", metavar="NAME", help="The account that looks after the domain from now on.")
@click.option(
    "--add-key",
    "kind",
    type=click.Choice(["rsa", "ed25519"]),
    help="Make a further DKIM key, which signs at once, beside the others.",
)
@click.option("--drop-key", "selector", metavar="SELECTOR", help="Forget a DKIM key: it signs no more.")
@spam_edit_options
@click.pass_obj
def edit(
    runtime: Runtime,
    name: str,
    postmaster: str | None,
    account: str | None,
    kind: str | None,
    selector: str | None,
    spam: Values,
) -> None:
    """Change where postmaster and abuse go, who looks after the domain, its keys, or rules of the spam check.

    To renew a DKIM key: --add-key, publish the record, and once `domain verify` finds it --drop-key. Until
    then the old signature is good, the new one counts as none. The old key's record stays published for a
    week, for mail that is on its way; if somebody else has the key, take it away at once.
    """
    from postmask.address import parse_domain
    from postmask.auth.dkim import Algorithm
    from postmask.cli.dkimkeys import make
    from postmask.store.admin import domains
    from postmask.store.admin.rules import Target

    if postmaster is None and account is None and kind is None and selector is None and not spam:
        raise click.UsageError(
            "say what to change: --postmaster, --account, --add-key, --drop-key or --spam-…"
        )
    name = parse_domain(name)
    now = runtime.clock.now()
    # Before the database is changed: a key takes its time.
    keys = make(runtime.keys, name, [Algorithm(kind)], now) if kind is not None else ()
    with runtime.changing() as session:
        _store(session, name, keys, now)
        if selector is not None:
            domains.drop_key(session, name, selector)
        changed = domains.edit(session, name, postmaster=postmaster, account=account)
        rules = spampolicy.changed(runtime, session, Target(domain=name), spam)
    _show(runtime, changed, rules)
    if kind is not None:
        runtime.output.say(f"publish the new key's record: postmask domain dns {changed.name}")


@domain.command(
    "remove",
    examples=(
        "postmask domain remove alias.example.com",
        "postmask domain remove alias.example.com --with-aliases",
    ),
)
@click.argument("name", metavar="DOMAIN")
@click.option("--with-aliases", is_flag=True, help="Remove its aliases with it, contacts and all, for good.")
@click.pass_obj
def remove(runtime: Runtime, name: str, with_aliases: bool) -> None:
    """Take a domain out of our hands. Refused while it has aliases.

    Let the queue run empty first: mail for the domain that still lies there isn't ours any more then, and
    Postfix bounces it, or sends it on to wherever the DNS says. More than 5,000 aliases are removed piece by
    piece, so that others can change something meanwhile: interrupted, it is to be given again.
    """
    from postmask.store.admin import domains

    with postfix_sync.made_good(runtime):
        gone = list(purging.pieces(runtime, domains.purge_piece, name)) if with_aliases else []
        with runtime.changing() as session:
            gone += domains.remove(
                session, runtime.keys, name, with_aliases=with_aliases, now=runtime.clock.now()
            )
    told = postfix_sync.tell(runtime)
    if runtime.output.json:
        return runtime.output.record({"name": name, "removed_aliases": gone, "postfix": told})
    runtime.output.say(removed(name, aliases=gone))
    postfix_sync.say(runtime, told)
    return None


@domain.command(
    "dns",
    examples=(
        "postmask domain dns alias.example.com",
        "postmask domain dns alias.example.com --zone > alias.zone",
    ),
)
@click.argument("name", metavar="DOMAIN")
@click.option("--zone", is_flag=True, help="As lines of a zone file.")
@_mx_option
@click.pass_obj
def dns(runtime: Runtime, name: str, zone: bool, exchangers: tuple[str, ...]) -> None:
    """Print the DNS records to publish: name, type, value, a line each."""
    records = _records(runtime, _get(runtime, name), exchangers)
    if runtime.output.json:
        return runtime.output.table([_plain(record) for record in records], _RECORD_COLUMNS, empty="")
    for record in records:
        runtime.output.copy(record.zone_line() if zone else record.line())
    return None


_REMARKS = {dnsrecords.Published.DIFFERENT: "is", dnsrecords.Published.UNKNOWN: "can't be told"}


@domain.command("verify", examples=("postmask domain verify alias.example.com",))
@click.argument("name", metavar="DOMAIN")
@_mx_option
@click.pass_obj
@click.pass_context
def verify(ctx: click.Context, runtime: Runtime, name: str, exchangers: tuple[str, ...]) -> None:
    """Look the DNS records up: found, missing or different.

    Exit status 0 if all are found, 65 if any is missing or different, 75 if the DNS doesn't answer.
    """
    from postmask.auth.dns import Resolver
    from postmask.cli.dnslookup import published

    settings = runtime.settings.dns
    resolver = Resolver(settings.nameservers, settings.timeout)
    rows, remarks, states = [], [], set()
    for record in _records(runtime, _get(runtime, name), exchangers):
        state, there = published(resolver, record, runtime.clock)
        rows.append({"published": state, **_plain(record), "there": there})
        states.add(state)
        if state in _REMARKS:
            remarks.append(f"{record.name} {record.type.value} {_REMARKS[state]}: {', '.join(there)}")
    runtime.output.table(rows, _RECORD_COLUMNS, empty="")
    for remark in remarks:
        runtime.output.say(remark)
    if dnsrecords.Published.UNKNOWN in states:
        runtime.output.say("try again later, or name another server: dns.nameservers in postmask.toml(5)")
        ctx.exit(os.EX_TEMPFAIL)
    if states != {dnsrecords.Published.FOUND}:
        runtime.output.say(f"publish what is missing: postmask domain dns {name}")
        ctx.exit(os.EX_DATAERR)


def _store(session: Session, name: str, keys: Sequence[NewKey], now: float) -> None:
    from postmask.store.admin import domains

    for key in keys:
        domains.add_key(
            session,
            name,
            selector=key.selector,
            algorithm=key.algorithm,
            sealed=key.sealed,
            public=key.public,
            now=now,
        )


def _get(runtime: Runtime, name: str) -> DomainView:
    from postmask.store.admin import domains

    with runtime.reading() as session:
        return domains.get(session, name)


def _show(runtime: Runtime, found: DomainView, spam: object) -> None:
    shown = {**fields(found), "spam": spam}
    if not runtime.output.json:
        shown["dkim_keys"] = [f"{key.selector} ({key.algorithm}, {key.state})" for key in found.dkim_keys]
    runtime.output.record(shown)


def _records(
    runtime: Runtime, found: DomainView, exchangers: tuple[str, ...]
) -> tuple[dnsrecords.Record, ...]:
    hosts = exchangers or (_own_exchanger(runtime),)
    for host in hosts:
        if "." not in host:
            runtime.output.warn(f"the mail exchanger {host} has no full name; give it: --mx {host}.DOMAIN")
    return dnsrecords.wanted(found.name, hosts, found.published_keys)


def _own_exchanger(runtime: Runtime) -> str:
    """This host as its Postfix calls itself, else as the node is called."""
    directory = runtime.settings.postfix.config_dir
    if postfix_facts.installed(directory):
        return commands.values(directory, "myhostname")["myhostname"]
    return runtime.settings.node.name


def _plain(record: dnsrecords.Record) -> dict[str, object]:
    return {"name": record.name, "type": record.type, "value": record.value}


def _refuse_own(runtime: Runtime, name: str) -> None:
    parameter = postfix_facts.own_domain(runtime.settings.postfix.config_dir, name)
    if parameter is not None:
        raise CommandError(
            f"this host has mailboxes of its own in {name} (Postfix's {parameter}), "
            f"whose mail would all go to aliases; use a subdomain, for instance alias.{name}",
            os.EX_DATAERR,
        )


def _ask_postmaster(runtime: Runtime, name: str) -> str:
    if not _on_a_terminal():
        raise click.UsageError("say where mail to postmaster and abuse goes: --postmaster ADDRESS")
    answer: str = click.prompt(
        f"Where shall mail to postmaster@{name} and abuse@{name} go", err=runtime.output.json
    )
    return answer


def _on_a_terminal() -> bool:
    return sys.stdin.isatty()
