"""A Postfix as data: what the lint judges by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from postmask_postfix import tables
from postmask_postfix.attachment import plan
from postmask_postfix.attachment.services import Listed


@dataclass(frozen=True, slots=True)
class Facts:
    """One Postfix.

    values: all parameters in force, with what they refer to filled in. overrides: those of services, by the
    service's name and the parameter's. services: as master.cf lists them. named: the parameters that one of
    the two files gives a value.
    asked: by a list of tables what it answers to some of the keys in `postmask_postfix.doctor.reading`.
    broken: by a table why it can't be asked. hosts: by a table in a database on how many hosts that is.
    warnings: of Postfix's own check.
    """

    values: Mapping[str, str]
    services: Sequence[Listed]
    overrides: Mapping[tuple[str, str], str] = field(default_factory=dict)
    named: frozenset[str] = frozenset()
    asked: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, int] = field(default_factory=dict)
    warnings: Sequence[str] = ()

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor."""
        found = re.match(r"(\d+)\.(\d+)", self.values["mail_version"])
        return (int(found[1]), int(found[2])) if found else (0, 0)

    def of(self, service: Listed, name: str) -> str:
        """A parameter as a service has it; "" for one that this Postfix doesn't know."""
        own = self.overrides.get((service.name, name))
        return self.values.get(name, "") if own is None else own

    def site(self, *commands: str) -> Iterator[Listed]:
        """The site's own services that run one of these commands, and are switched on."""
        disabled = self.values["master_service_disable"]
        for service in self.services:
            ours = plan.is_our_service(service.name)
            if service.command in commands and not ours and not service.is_disabled(disabled):
                yield service

    def front_doors(self) -> Iterator[Listed]:
        """The smtpd services that take mail for the first time, and not back from a filter."""
        for service in self.site("smtpd"):
            if service.type in ("inet", "pass") and not plan.takes_back(service):
                yield service

    def by_value(self, name: str, services: Iterable[Listed]) -> Iterator[tuple[str, str]]:
        """Where a parameter has which value for these services, each value once."""
        seen = set()
        for service in services:
            value = self.of(service, name)
            if value not in seen:
                seen.add(value)
                own = (service.name, name) in self.overrides
                yield (f"{name} of {service.name}" if own else name), value

    def site_elements(self, name: str) -> list[str]:
        """The elements of a list without ours."""
        ours = tables.elements(self.values.get(f"postmask_{name}", ""))
        return [element for element in tables.elements(self.values[name]) if element not in ours]
