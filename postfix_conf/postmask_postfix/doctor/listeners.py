"""Who is let in by a Postfix's listeners, and past which milters. Pure.

STANDARDS
    postconf(5), SMTPD_ACCESS_README, MILTER_README; RFC 5321 §4.5.3.2 for how long clients wait.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from postmask.doctor.finding import Finding
from postmask_postfix import lifetime, tables
from postmask_postfix.attachment import plan
from postmask_postfix.attachment.services import Listed
from postmask_postfix.doctor import codes
from postmask_postfix.doctor.facts import Facts

_LISTS = ("client", "helo", "sender", "relay", "recipient")
_BLOCKS = frozenset(
    ["reject_unauth_destination", "defer_unauth_destination", "reject", "defer", "defer_if_permit"]
)
_SHUT = frozenset(["reject", "defer"])
_LOGINS = frozenset(["permit_sasl_authenticated", "permit_tls_clientcerts", "permit_tls_all_clientcerts"])
_MAY_LET_IN = ("permit", "check_")
_COMMAND_SECONDS = 300.0
_CONTENT_SECONDS = 600.0
_ALONE = re.compile(r"(127\.[0-9.]+|localhost|\[?::1\]?):")
_WIDEST = {4: 16, 6: 32}


def lint(facts: Facts) -> Iterator[Finding]:
    """All that is wrong."""
    for service in facts.front_doors():
        if not _ALONE.match(service.service) and not _blocks_strangers(facts, service):
            yield codes.OPEN_RELAY.at(service.name)
        if proxy := facts.of(service, "smtpd_proxy_filter"):
            yield codes.PROXY_FILTER.at(service.name, f"smtpd_proxy_filter = {proxy}")
    for where, value in facts.by_value("smtpd_forbid_bare_newline", facts.front_doors()):
        if value in ("", "no"):
            yield codes.BARE_NEWLINE.at(where)
    yield from _filters(facts)
    yield from _networks(facts)
    yield from _unknown(facts)
    yield from _gate(facts)
    yield from _milters(facts)


def _restrictions(facts: Facts, service: Listed, name: str) -> Iterator[str]:
    """The elements of a list of restrictions, classes filled in."""
    classes = set(tables.elements(facts.values["smtpd_restriction_classes"]))
    waiting = tables.elements(facts.of(service, f"smtpd_{name}_restrictions"))[::-1]
    for _ in range(1000):
        if not waiting:
            return
        element = waiting.pop()
        if element in classes:
            waiting += tables.elements(facts.values.get(element, ""))[::-1]
        else:
            yield element


def _asks(facts: Facts, service: Listed, *wanted: str) -> bool:
    return any(element in wanted for name in _LISTS for element in _restrictions(facts, service, name))


def _blocks_strangers(facts: Facts, service: Listed) -> bool:
    """Whether one of the lists refuses a foreign recipient from a client that nothing is known of."""
    if any(element.startswith("static:") for element in tables.elements(facts.values["relay_domains"])):
        return False
    return any(_blocks(_restrictions(facts, service, name), _BLOCKS) for name in _LISTS)


def _for_strangers(facts: Facts) -> Iterator[Listed]:
    """The front doors but for those that let in only who has logged in."""
    for service in facts.front_doors():
        lists = [list(_restrictions(facts, service, name)) for name in _LISTS]
        if not any(map(_wants_login, lists)):
            yield service


def _wants_login(elements: list[str]) -> bool:
    known = _LOGINS.intersection(elements) and "check_client_access" not in elements
    return bool(known) and _blocks(iter(elements), _SHUT)


def _blocks(elements: Iterator[str], words: frozenset[str]) -> bool:
    """Whether one of these words comes before whatever lets all pass."""
    before = ""
    for element in elements:
        word = element.lower()
        if before == "warn_if_reject":
            before = ""
            continue
        if word in words:
            return True
        if word == "permit" or (before.startswith("check_") and word in ("static:ok", "static:permit")):
            return False
        before = word
    return False


def _networks(facts: Facts) -> Iterator[Finding]:
    found = {"mynetworks": facts.values["mynetworks"]} | dict(
        facts.by_value("mynetworks", facts.front_doors())
    )
    trusted = ((where, element) for where, value in found.items() for element in tables.elements(value))
    for where, element in trusted:
        try:
            network = ipaddress.ip_network(element.replace("[", "").replace("]", ""), strict=False)
        except ValueError:
            continue  # A table, a file, or what is left out by "!".
        inner = network.network_address
        if isinstance(inner, ipaddress.IPv6Address) and inner.ipv4_mapped and network.prefixlen >= 96:
            network = ipaddress.ip_network((inner.ipv4_mapped, network.prefixlen - 96))
        if network.prefixlen < _WIDEST[network.version] and not network.is_private:
            yield codes.TRUSTED_NETWORKS.at(f"{where} {element}", f"{where} has {element}")


def _unknown(facts: Facts) -> Iterator[Finding]:
    own = tables.elements(facts.values["mydestination"])
    relayed = [name for name in facts.site_elements("relay_domains") if name not in own]
    doors = tuple(_for_strangers(facts))
    for one in doors:
        if facts.of(one, "smtpd_reject_unlisted_recipient") == "no" and not _asks(
            facts, one, "reject_unlisted_recipient", "reject_unverified_recipient"
        ):
            yield codes.UNKNOWN_RECIPIENTS.at(one.name, "smtpd_reject_unlisted_recipient is no")
    asked = all(_asks(facts, one, "reject_unverified_recipient") for one in doors)
    for domains, there, maps in (
        ("mydestination", own, "local_recipient_maps"),
        ("virtual_mailbox_domains", facts.values["virtual_mailbox_domains"], "virtual_mailbox_maps"),
        ("relay_domains", relayed, "relay_recipient_maps"),
    ):
        if there and not facts.values[maps] and not asked:
            yield codes.UNKNOWN_RECIPIENTS.at(
                maps, f"{maps} is empty: whoever it is at a domain of {domains} is accepted"
            )


def _filters(facts: Facts) -> Iterator[Finding]:
    """Who hands mail to a filter, and takes it back, without a word of the client."""
    doors = tuple(facts.front_doors())
    after = {facts.of(one, "content_filter").partition(":")[0] for one in doors} - {""}
    for service in facts.site("smtp", "lmtp"):
        sends = f"{service.command}_send_xforward_command"
        if service.service in after and facts.of(service, sends) != "yes":
            yield codes.CLIENT_HIDDEN.at(service.name, f"{sends} isn't yes")
    if after or any(facts.of(one, "smtpd_proxy_filter") for one in doors):
        takes = "smtpd_authorized_xforward_hosts"
        for service in facts.site("smtpd"):
            if plan.takes_back(service) and not facts.of(service, takes):
                yield codes.CLIENT_HIDDEN.at(service.name, f"{takes} is empty")


def _gate(facts: Facts) -> Iterator[Finding]:
    name = "smtpd_recipient_restrictions"
    ours = tables.elements(facts.values.get(f"postmask_{name}", ""))
    for where, value in facts.by_value(name, facts.front_doors()):
        elements = tables.elements(value)
        if ours and ours[-1] in elements:
            before = elements[: elements.index(ours[-1]) + 1 - len(ours)]
            if letting := [element for element in before if element.lower().startswith(_MAY_LET_IN)]:
                yield codes.GATE_ORDER.at(where, f"before the gate stands {letting[0]}")


def _milters(facts: Facts) -> Iterator[Finding]:
    ours = tables.elements(facts.values.get("postmask_smtpd_milters", ""))
    for where, value in facts.by_value("smtpd_milters", facts.site("smtpd")):
        elements = tables.elements(value)
        if ours and ours[0] in elements[1:]:
            yield codes.MILTER_ORDER.at(where, f"before ours stands {elements[0]}")
        others = [element for element in elements if element not in ours]
        for element in others:
            if _option(facts, element, "default_action") == "reject":
                yield codes.MILTER_REJECTS.at(f"{where}: {_endpoint(element)}")
        commands = sum(_seconds(facts, element, "command_timeout") for element in elements)
        contents = sum(_seconds(facts, element, "content_timeout") for element in elements)
        if commands > _COMMAND_SECONDS or contents > _CONTENT_SECONDS:
            what = f"together they may take {commands:.0f} s for a command, {contents:.0f} s for a message"
            yield codes.MILTER_TIMES.at(where, what)
    local = tables.elements(facts.values["non_smtpd_milters"])
    if local := [_endpoint(element) for element in local if element not in ours]:
        yield codes.NON_SMTPD_MILTERS.at("non_smtpd_milters", f"non_smtpd_milters = {', '.join(local)}")


def _endpoint(milter: str) -> str:
    return tables.elements(milter.strip("{ }"))[0] if milter.strip("{ }") else milter


def _option(facts: Facts, milter: str, name: str) -> str:
    """An option of a milter's own, in its braces; else main.cf's."""
    pairs = (word.partition("=") for word in tables.elements(milter.strip("{ }"))[1:])
    return next((value for key, _, value in pairs if key == name), facts.values[f"milter_{name}"])


def _seconds(facts: Facts, milter: str, name: str) -> float:
    return lifetime.seconds(name, _option(facts, milter, name))
