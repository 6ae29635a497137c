"""The doctor's group `send`: a message sent all the way through, to nobody or to an alias that is named.

Whatever comes of it, what was made for it is taken away at the end: the aliases, what was counted for them,
and what still lies in the queue. The ledger keeps its record, as of every message.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from postmask.address import Address, AddressError, parse
from postmask.cli import postfix_facts
from postmask.cli.doctor.passage import NodePassage
from postmask.cli.doctor.surroundings import Surroundings
from postmask.cli.runtime import Runtime
from postmask.clock import Deadline
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding
from postmask.doctor.sending import codes
from postmask.doctor.sending.journey import Probe, travel

if TYPE_CHECKING:
    from postmask.spool import Spool

_SECONDS = 60.0
_FORGOTTEN = 3600.0
"""Seconds after which nobody is at work any more with what an earlier call has made."""


class NotBegun(Exception):  # noqa: N818 (a finding)
    """There is nothing to send, or nobody to send it to; the message says why."""


def group(alias: str) -> Group[Surroundings]:
    """alias: whom to write to; "" for nobody, an alias that is made for it."""

    def look(around: Surroundings) -> Iterator[Finding]:
        from postmask.spool import Spool
        from postmask.store.errors import StoreError

        runtime = around.runtime
        try:
            _need(runtime)
            with closing(Spool(runtime.settings.spool.path, runtime.clock)) as spool:
                yield from _named(runtime, spool, alias) if alias else _nobody(runtime, spool)
        except (NotBegun, AddressError, StoreError) as trouble:
            yield codes.NOT_BEGUN.at("send", str(trouble))

    return Group(
        "send",
        "A message sent all the way through, with --send alone: the gate and the milters take it, the queue "
        "hands it to the forwarder, its copy comes out at the other end.",
        240.0,
        codes.CODES,
        (Check("message", look),),
    )


def _nobody(runtime: Runtime, spool: Spool) -> Iterator[Finding]:
    """From an alias made for it to another one, which discards it."""
    from postmask.store.admin import domains, probes

    keys, now = runtime.keys, runtime.clock.now()
    with runtime.changing() as session:
        probes.take_away(session, probes.forgotten(session, before=now - _FORGOTTEN))
        names = domains.names(session)
        if not names:
            raise NotBegun("there is no domain of ours yet")
        made = probes.make(session, keys, names[0], now=now)
    guarded = made.alias.replace("@", "+stranger@")
    probe = Probe(made.alias, _unknown(names[0]), guarded, probes.STRANGER)
    passage = NodePassage(runtime, spool, probe, made.end, Deadline.after(runtime.clock, _SECONDS))
    yield from _sent(runtime, passage, probe, made.alias_ids)


def _named(runtime: Runtime, spool: Spool, alias: str) -> Iterator[Finding]:
    """To an alias, and to the mailboxes behind it."""
    from postmask.store.admin import aliases

    address = parse(alias)
    if "+" in address.local:
        raise NotBegun(f"{alias} has a + in its name; name an alias without")
    with runtime.reading() as session:
        aliases.find(session, alias)
    recipient = str(Address(f"{address.local}+doctor-{secrets.token_hex(4)}", address.domain))
    probe = Probe(recipient, _unknown(address.domain))
    passage = NodePassage(runtime, spool, probe, "", Deadline.after(runtime.clock, _SECONDS))
    yield from _sent(runtime, passage, probe, ())


def _sent(
    runtime: Runtime, passage: NodePassage, probe: Probe, alias_ids: Sequence[int]
) -> Iterator[Finding]:
    """On its way, and cleared away; the latter also when the call is interrupted."""
    runtime.at_end(lambda: list(passage.clear(alias_ids)))
    try:
        yield from travel(probe if passage.examined else replace(probe, guarded=""), passage)
    finally:
        yield from passage.clear(alias_ids)


def _need(runtime: Runtime) -> None:
    """Raises NotBegun where nothing could be sent, or not be taken away again."""
    if not postfix_facts.installed(runtime.settings.postfix.config_dir):
        raise NotBegun(f"there is no Postfix in {runtime.settings.postfix.config_dir}")
    if not runtime.settings.spool.path.exists():
        raise NotBegun(f"{runtime.settings.spool.path} isn't there; start postmask-forwarder")
    if os.geteuid() != 0:
        raise NotBegun("only root may take a message out of Postfix's queue again; run this as root")


def _unknown(domain: str) -> str:
    return f"postmask-doctor-{secrets.token_hex(8)}@{domain}"


GROUP = group("")
