"""What of a Postfix limits or alters our mail on its way, in and out. Pure.

STANDARDS
    postconf(5), header_checks(5), generic(5), DEPRECATION_README.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from postmask.clock import DAY
from postmask.doctor.finding import Finding
from postmask_postfix import lifetime, tables
from postmask_postfix.doctor import codes
from postmask_postfix.doctor.facts import Facts
from postmask_postfix.domains import probe

RECEIVED = (
    "Received: from mail.example.com (mail.example.com [198.51.100.7]) by mx.example.net (Postfix) with"
    " ESMTPS id 4XyZab12cdz3 for <shop@alias.example>; Thu, 5 Nov 2026 10:00:00 +0000 (UTC)",
    "Received: by mail.example.com (Postfix, from userid 1000) id 4XyZab12cdz3; Thu, 5 Nov 2026 10:00:00"
    " +0000",
)
"""What header_checks are asked: as mail from outside has it."""

SIGNED = (
    "From: Bob <bob@example.com>",
    "To: Shop <shop@alias.example>",
    "Cc: Ann <ann@example.org>",
    "Subject: About the shoes",
    "Date: Thu, 5 Nov 2026 10:00:00 +0000",
    "Message-ID: <4c1d9@example.com>",
    "Reply-To: Bob <bob@example.com>",
    "In-Reply-To: <4c1d8@example.com>",
    "References: <4c1d8@example.com>",
    "MIME-Version: 1.0",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Transfer-Encoding: 8bit",
    "List-Unsubscribe: <https://example.com/unsubscribe>",
    "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/simple; d=alias.example; s=pm1; h=From:To; bh=YQ==; b=YQ==",
)
"""What smtp_header_checks are asked: what a signature covers, and that itself."""

_ALTERING = re.compile(r"(?i)(IGNORE|STRIP|REPLACE|PREPEND)\b")
_HEADER_SIZE = 102_400
_LINE_LENGTH = 998
_DEPRECATED = (
    (re.compile(r"disable_dns_lookups"), "smtp_dns_support_level"),
    (re.compile(r"(smtp|smtpd|lmtp|postscreen|tlsproxy|tlsproxy_client)_use_tls"), "…_tls_security_level"),
    (
        re.compile(r"(smtp|smtpd|lmtp|postscreen|tlsproxy|tlsproxy_client)_enforce_tls"),
        "…_tls_security_level",
    ),
    (re.compile(r"(smtp|lmtp)_tls_enforce_peername"), "…_tls_security_level"),
    (re.compile(r"(smtp_tls|lmtp_tls|tlsproxy_client)_per_site"), "…_tls_policy_maps"),
    (re.compile(r"(smtp|smtpd|lmtp)_tls_cipherlist"), "…_tls_mandatory_ciphers"),
    (re.compile(r"(smtpd|tlsproxy)_tls_dh1024_param_file"), "Postfix's own default"),
    (re.compile(r"(smtpd|tlsproxy)_tls_eecdh_grade"), "Postfix's own default"),
    (re.compile(r"lmtp_cache_connection"), "lmtp_connection_cache_on_demand"),
    (re.compile(r"fallback_relay"), "smtp_fallback_relay"),
    (re.compile(r"virtual_maps"), "virtual_alias_maps"),
)


def lint(facts: Facts, domains: tuple[str, ...], largest: int, remembered: float) -> Iterator[Finding]:
    """All that is wrong. domains: ours. largest: octets that the forwarder takes. remembered: for how many
    seconds the ledger keeps what was sent."""
    yield from _limits(facts, largest)
    yield from _lifetimes(facts, remembered)
    yield from _alterations(facts, domains)
    yield from _tables(facts)
    for where, value in facts.by_value("soft_bounce", facts.services):
        if value == "yes":
            yield codes.SOFT_BOUNCE.at(where)
    if lifetime.seconds("delay_warning_time", facts.values["delay_warning_time"]):
        value = facts.values["delay_warning_time"]
        yield codes.DELAY_WARNING.at("delay_warning_time", f"delay_warning_time = {value}")
    told = set()
    for name in sorted(facts.named):
        for pattern, instead in _DEPRECATED:
            if pattern.fullmatch(name):
                yield codes.DEPRECATED.at(name, f"{name} is deprecated; instead of it there is {instead}")
                told.add(f'"{name}"')
    for warning in facts.warnings:
        # Postfix 3.10 names deprecated parameters too.
        if told.isdisjoint(warning.split()):
            yield codes.CHECK_WARNS.at(warning)


def _limits(facts: Facts, largest: int) -> Iterator[Finding]:
    outer = int(facts.values["message_size_limit"])
    if not 0 < outer <= largest:
        said = outer or "without end"
        what = f"message_size_limit is {said}, forwarder.message_size_limit {largest}"
        yield codes.MESSAGE_SIZE.at("message_size_limit", what)
    for (service, name), value in facts.overrides.items():
        if name == "message_size_limit" and service.startswith("postmask-") and 0 < int(value) <= outer:
            yield codes.REINJECT_SIZE.at(service, f"{name} is {value} there, and {outer} at the front door")
    for where, value in facts.by_value("header_size_limit", facts.site("cleanup")):
        if int(value) < _HEADER_SIZE:
            yield codes.HEADER_SIZE.at(where, f"header_size_limit is {value}")
    for where, value in facts.by_value("smtp_line_length_limit", facts.site("smtp")):
        if 0 < int(value) < _LINE_LENGTH:
            yield codes.LINE_LENGTH.at(where, f"smtp_line_length_limit is {value}")


def _lifetimes(facts: Facts, remembered: float) -> Iterator[Finding]:
    for name in ("maximal_queue_lifetime", "bounce_queue_lifetime"):
        value = facts.values[name]
        lasts = lifetime.seconds(name, value)
        if lasts > remembered - DAY:
            kept = remembered / DAY
            yield codes.LIFETIME_LONG.at(name, f"{name} is {value}; the ledger keeps {kept:.0f} days")
        elif lasts < DAY:
            yield codes.LIFETIME_SHORT.at(name, f"{name} is {value}")


def _alterations(facts: Facts, domains: tuple[str, ...]) -> Iterator[Finding]:
    for where, value in facts.by_value("header_checks", facts.site("cleanup")):
        if _altered(facts, value, RECEIVED):
            yield codes.RECEIVED_DROPPED.at(where)
    for where, value in facts.by_value("message_drop_headers", facts.site("cleanup")):
        if "received" in tables.elements(value.lower()):
            yield codes.RECEIVED_DROPPED.at(where)
    for where, value in facts.by_value("smtp_header_checks", facts.site("smtp")):
        if fields := _altered(facts, value, SIGNED):
            yield codes.FINISHED_HEADERS.at(where, f"{where} alters {', '.join(fields)}")
    for where, value in facts.by_value("smtp_generic_maps", facts.site("smtp")):
        answers = facts.asked.get(value, {})
        for domain in domains:
            for key in generic_keys((domain,)):
                if key in answers:
                    what = f"{where} turns {key} into {answers[key]}"
                    yield codes.GENERIC_MAPS.at(f"{where}: {domain}", what)
                    break
    for name in ("smtp_body_checks", "smtp_mime_header_checks", "smtp_nested_header_checks"):
        for where, value in facts.by_value(name, facts.site("smtp")):
            # By default the latter two are what smtp_header_checks is; that was asked.
            if value and value != facts.values["smtp_header_checks"]:
                yield codes.FINISHED_BODIES.at(where, f"{where} = {value}")
    converting = [s for s in facts.site("smtp") if facts.of(s, "disable_mime_output_conversion") == "no"]
    for where, value in facts.by_value("smtp_never_send_ehlo", converting):
        if value == "yes":
            yield codes.EIGHT_BIT.at(where, f"{where} = {value}")
    for where, value in facts.by_value("smtp_discard_ehlo_keywords", converting):
        if "8bitmime" in tables.elements(value.lower()):
            yield codes.EIGHT_BIT.at(where, f"{where} = {value}")


def generic_keys(domains: tuple[str, ...]) -> list[str]:
    """What smtp_generic_maps are asked: an address of each of our domains, and all of them."""
    return [key for domain in domains for key in (probe(domain), f"@{domain}")]


def _altered(facts: Facts, value: str, fields: tuple[str, ...]) -> list[str]:
    """The names of the fields that a list of checks alters or takes out."""
    answers = facts.asked.get(value, {})
    return [field.partition(":")[0] for field in fields if _ALTERING.match(answers.get(field, ""))]


def _tables(facts: Facts) -> Iterator[Finding]:
    for table, why in facts.broken.items():
        yield codes.TABLE.at(table, why)
    if facts.version < (3, 10):
        for table, hosts in facts.hosts.items():
            if hosts < 2:
                yield codes.DATABASE_HOST.at(table, f"{table} is asked of a single host")
