"""Where a Postfix takes mail by SMTP: from its master.cf, how to talk to each listener. Pure.

STANDARDS
    master(5), postconf(5) inet_interfaces, master_service_disable, postscreen(8).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from postmask_postfix import tables
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment import lists, plan
from postmask_postfix.attachment.plan import LISTENERS, Configuration
from postmask_postfix.attachment.services import Listed, listed
from postmask_postfix.attachment.site import Site
from postmask_postfix.parameters import PARAMETERS

_GATE = next(parameter for parameter in PARAMETERS if parameter.name == "smtpd_recipient_restrictions")


@dataclass(frozen=True, slots=True)
class Listener:
    """name: as postconf -M has it. host: "" for a Unix socket, whose path is `port` then."""

    name: str
    host: str
    port: str
    tls: bool
    """TLS from the first octet."""
    proxied: bool
    """Whether it wants to hear first whom a proxy speaks for."""
    screened: bool
    """Whether postscreen stands before it."""
    gated: bool
    """Whether our gate is asked about its recipients."""


def of(site: Site, current: Configuration) -> tuple[Listener, ...]:
    """The site's listeners. Those that are reached through postscreen are met there."""
    services = listed(files.master_cf(current.master))
    gated = lists.has(files.value(files.last(files.main_cf(current.main), _GATE.name)), plan.word(_GATE))
    return tuple(
        _listener(site, service, _is_gated(services, service, gated))
        for service in services
        if service.command in LISTENERS
        and service.type in ("inet", "unix")
        and not plan.is_our_service(service.name)
        and not service.is_disabled(site.values["master_service_disable"])
    )


def _is_gated(services: tuple[Listed, ...], service: Listed, inherited: bool) -> bool:
    behind: Iterator[Listed] = iter((service,))
    if service.command == "postscreen":
        behind = (other for other in services if (other.command, other.type) == ("smtpd", "pass"))
    values = (other.override(_GATE.name) for other in behind)
    return all(inherited if value is None else lists.has(value, plan.word(_GATE)) for value in values)


def _listener(site: Site, service: Listed, gated: bool) -> Listener:
    def setting(name: str) -> str:
        own = service.override(name)
        return site.values[name] if own is None else own

    screened = service.command == "postscreen"
    proxy = "postscreen_upstream_proxy_protocol" if screened else "smtpd_upstream_proxy_protocol"
    if service.type == "unix":
        host, port = "", str(site.queue / ("private" if service.private else "public") / service.service)
    else:
        host, _, port = service.service.rpartition(":")
        host = host.strip("[]") or _host(site)
    return Listener(
        service.name,
        host,
        port,
        tls=setting("smtpd_tls_wrappermode") == "yes",
        proxied=bool(setting(proxy)),
        screened=screened,
        gated=gated,
    )


def _host(site: Site) -> str:
    """An address on which services listen that name none."""
    loopback = "::1" if site.values["inet_protocols"] == "ipv6" else "127.0.0.1"
    names = tables.elements(site.values["inet_interfaces"])
    if not names or names[0] in ("all", "loopback-only"):
        return loopback
    return names[0].strip("[]")


def sockets_below(queue: Path, sockets: Path) -> str:
    """The folder of our sockets as a service of this Postfix names it: relative where it can be, for
    that serves chrooted services too."""
    return str(sockets.relative_to(queue)) if sockets.is_relative_to(queue) else str(sockets)
