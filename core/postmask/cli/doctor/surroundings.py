"""What the doctor's groups look at, and what several of them ask first: Postfix's parameters, whether the DNS
answers, how mail leaves. Each is asked once a run.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from postmask.cli import postfix_facts, postfix_sync
from postmask.cli.runtime import Runtime
from postmask.clock import Deadline
from postmask.doctor import inquiry
from postmask.doctor.host import outside, routing
from postmask.doctor.host.outside import Way
from postmask.doctor.inquiry import Inquiry
from postmask.store.errors import StoreError
from postmask_postfix import commands, tables
from postmask_postfix.commands import PostfixError
from postmask_postfix.domains import probe

T = TypeVar("T")

_SILENCE_SECONDS = 30.0
_NO_RELAY = "DUNNO"


class Once(Generic[T]):
    """An answer, asked for when it is first wanted; again where that raised. Shared by threads."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._answer: tuple[T] | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._answer is None:
                self._answer = (self._ask(),)
            return self._answer[0]


class Surroundings:
    """Of one run. Shared by the groups.

    parameters: of outside.PARAMETERS, as Postfix has them; raises PostfixError. silence: why the DNS as a
    whole doesn't answer, "" if it does.
    """

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.parameters = Once(functools.partial(parameters, runtime))
        self.silence = Once(self._silence)

    @property
    def name(self) -> str:
        """This host's."""
        return self.parameters()["myhostname"]

    def inquiry(self, seconds: float) -> Inquiry:
        """Of the configured resolver. seconds: for all of its questions."""
        from postmask.auth.dns import Resolver

        settings = self.runtime.settings.dns
        resolver = Resolver(settings.nameservers, settings.timeout)
        return Inquiry(resolver, Deadline.after(self.runtime.clock, seconds))

    def way(self, asked: Inquiry) -> Way:
        """How mail leaves this host."""
        values = self.parameters()

        @functools.cache
        def named() -> tuple[str, ...]:
            return asked.addresses(values["smtp_helo_name"]) or ()

        return outside.way(values, self.runtime.settings.doctor.addresses, routing.source, named)

    def _silence(self) -> str:
        asked = self.inquiry(_SILENCE_SECONDS)
        return inquiry.silence(asked.dns, self.name, asked.deadline)


def load() -> None:
    """Import what several groups are about to import: of a package whose modules import each other, as
    SQLAlchemy's do, threads that begin at once would find halves."""
    from postmask.auth import dns  # noqa: F401
    from postmask.cli import postfix, postfix_log  # noqa: F401
    from postmask.directory import opening  # noqa: F401
    from postmask.spool import Spool  # noqa: F401
    from postmask.store import schema  # noqa: F401
    from postmask.store.admin import aliases, domains, mailboxes, nodes, probes  # noqa: F401
    from postmask_postfix.doctor import attachment, listeners  # noqa: F401


def parameters(runtime: Runtime) -> dict[str, str]:
    """Of outside.PARAMETERS, as Postfix has them. Without a Postfix the node's name, and its defaults.

    Raises PostfixError.
    """
    directory = runtime.settings.postfix.config_dir
    if postfix_facts.installed(directory):
        values = commands.values(directory, *outside.PARAMETERS)
        return {**values, "relayhost": _relay_of_ours(runtime, values) or values["relayhost"]}
    name = runtime.settings.node.name
    known = {"myhostname": name, "smtp_helo_name": name, "inet_protocols": "all", "inet_interfaces": "all"}
    return {parameter: known.get(parameter, "") for parameter in outside.PARAMETERS}


def _relay_of_ours(runtime: Runtime, values: Mapping[str, str]) -> str:
    """The host that sender_dependent_relayhost_maps have our mail sent by; "" where they leave one of our
    domains alone, or nobody can say."""
    maps = values["sender_dependent_relayhost_maps"]
    if not maps:
        return ""
    try:
        domains = postfix_sync.domain_names(runtime)
        keys = [key for domain in domains for key in (probe(domain), f"@{domain}")]
        told = tables.known(runtime.settings.postfix.config_dir, maps, keys)
    except (PostfixError, StoreError):
        return ""
    relays = [told.get(probe(domain)) or told.get(f"@{domain}", _NO_RELAY) for domain in domains]
    return "" if _NO_RELAY in relays else next(iter(relays), "")
