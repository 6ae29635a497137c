"""What several of the doctor's groups ask first: the resolver, this host's name, and how its mail leaves."""

from __future__ import annotations

import functools

from postmask.cli import postfix_facts
from postmask.cli.runtime import Runtime
from postmask.clock import Deadline
from postmask.doctor.host import outside, routing
from postmask.doctor.host.outside import Way
from postmask.doctor.inquiry import Inquiry
from postmask_postfix import commands


def inquiry(runtime: Runtime, seconds: float) -> Inquiry:
    """Of the configured resolver. seconds: for all of its questions."""
    from postmask.auth.dns import Resolver

    settings = runtime.settings.dns
    return Inquiry(Resolver(settings.nameservers, settings.timeout), Deadline.after(runtime.clock, seconds))


def parameters(runtime: Runtime) -> dict[str, str]:
    """Of outside.PARAMETERS, as Postfix has them. Without a Postfix the node's name, and its defaults.

    Raises PostfixError.
    """
    directory = runtime.settings.postfix.config_dir
    if postfix_facts.installed(directory):
        return commands.values(directory, *outside.PARAMETERS)
    name = runtime.settings.node.name
    known = {"myhostname": name, "smtp_helo_name": name, "inet_protocols": "all", "inet_interfaces": "all"}
    return {parameter: known.get(parameter, "") for parameter in outside.PARAMETERS}


def way(runtime: Runtime, values: dict[str, str], asked: Inquiry) -> Way:
    """How mail leaves this host. values: what parameters() gives."""

    @functools.cache
    def named() -> tuple[str, ...]:
        return asked.addresses(values["smtp_helo_name"]) or ()

    return outside.way(values, runtime.settings.doctor.addresses, routing.source, named)
