"""The doctor's group `postfix`: the lint of this node's Postfix, and how Postmask is attached to it."""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli import postfix_facts, postfix_sync
from postmask.cli.doctor.surroundings import Surroundings
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding
from postmask.spool import LEDGER_KEPT
from postmask_postfix.doctor import codes


def _lint(around: Surroundings) -> Iterator[Finding]:
    """Without a Postfix it can't be made: that nothing is wrong there isn't known."""
    from postmask_postfix.doctor import listeners, passage, reading

    runtime = around.runtime
    settings = runtime.settings
    postfix_facts.demand(settings.postfix.config_dir)
    domains = tuple(postfix_sync.domain_names(runtime))
    facts = reading.read(settings.postfix.config_dir, domains)
    yield from listeners.lint(facts)
    yield from passage.lint(facts, domains, settings.forwarder.message_size_limit, LEDGER_KEPT)


def _attachment(around: Surroundings) -> Iterator[Finding]:
    """Without a Postfix there is nothing to look at, which the lint has said."""
    from postmask.cli.postfix import attach_request
    from postmask_postfix.doctor import attachment, reading

    runtime = around.runtime
    if postfix_facts.installed(runtime.settings.postfix.config_dir):
        yield from attachment.lint(reading.attachment(attach_request(runtime)))


GROUP = Group(
    "postfix",
    "This node's Postfix: who may relay, what is accepted, what limits or alters mail, and whether Postmask "
    "is attached to it as it should be.",
    120.0,
    codes.CODES,
    (Check("lint", _lint), Check("attachment", _attachment)),
)
