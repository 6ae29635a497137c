"""MTA-STS and TLS-RPT: what a domain says about TLS on the way to it. A domain may do without either.

    announced(domain, inquiry)     the MTA-STS record: whether there is a policy to be fetched
    look_at_reports(…)             the TLS-RPT record
    parse_policy(octets)           a policy; PolicyError
    unlisted(policy, hosts)        the mail exchangers to which it lets nobody deliver

DIAGNOSTICS
    PolicyError: what was fetched is no policy; the message says why.

STANDARDS
    RFC 8461 §3.1 (TXT record), §3.2 (policy), §4.1 (how its names match); RFC 8460 §3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from postmask.doctor.domain import codes
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, shown

_STS = "v=STSv1"
_REPORTS = "v=TLSRPTv1"
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_URI = re.compile(r"(?:mailto|https):[!-+\--:<-~]+")
_MODES = ("enforce", "testing", "none")
_LONGEST_AGE = 31_557_600
_MOST_EXCHANGERS = 100


class PolicyError(ValueError):
    """It is no MTA-STS policy."""


@dataclass(frozen=True, slots=True)
class Policy:
    """mode: "enforce", "testing" or "none". exchangers: names, or "*." and a domain."""

    mode: str
    exchangers: tuple[str, ...]


def announced(domain: str, inquiry: Inquiry) -> tuple[bool, list[Finding]]:
    """Whether there is a good MTA-STS record, hence a policy to be fetched; else what is wrong."""
    texts = inquiry.texts(f"_mta-sts.{domain}")
    if not texts:
        return False, []
    tags, fault = _read(texts, _STS)
    if not fault and not _ID.fullmatch(tags.get("id", "")):
        fault = "its id isn't 1 to 32 letters and digits"
    return not fault, [codes.STS_BROKEN.at(domain, fault)] if fault else []


def look_at_reports(domain: str, inquiry: Inquiry) -> Iterator[Finding]:
    """What is wrong with the TLS-RPT record."""
    texts = inquiry.texts(f"_smtp._tls.{domain}")
    if not texts:
        return
    tags, fault = _read(texts, _REPORTS)
    uris = [uri.strip(" \t") for uri in tags.get("rua", "").split(",")]
    if not fault and not all(map(_URI.fullmatch, uris)):
        fault = "its rua isn't a mailto: or https: address"
    if fault:
        yield codes.TLS_REPORTS.at(domain, fault)


def _read(texts: Sequence[bytes], version: str) -> tuple[dict[str, str], str]:
    """The tags of the only record of that version, or what is wrong with it. Other texts don't count."""
    written = [text.decode("latin-1") for text in texts]
    found = [text for text in written if re.match(rf"{version}[ \t]*;", text)]
    if len(found) != 1:
        named = f"there are {len(found)}" if found else f'none begins with "{version};"'
        return {}, f"{named}: {shown(' | '.join(found or written))}"
    tags: dict[str, str] = {}
    for spec in found[0].rstrip(" \t").removesuffix(";").split(";")[1:]:
        name, equals, value = spec.partition("=")
        if not equals:
            return {}, f"{shown(spec)} is no tag, in {shown(found[0])}"
        tags.setdefault(name.strip(" \t"), value.strip(" \t"))
    return tags, ""


def parse_policy(octets: bytes) -> Policy:
    """A policy as it is served. Raises PolicyError."""
    try:
        text = octets.decode("ascii")
    except UnicodeDecodeError:
        raise PolicyError("there is something other than ASCII in it") from None
    fields: dict[str, list[str]] = {}
    for line in text.replace("\r\n", "\n").split("\n"):
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise PolicyError(f"{shown(line)} is no field")
        if colon:
            fields.setdefault(name.strip(), []).append(value.strip())
    version, mode, age = (fields.get(name, [""])[0] for name in ("version", "mode", "max_age"))
    if version != "STSv1":
        raise PolicyError("it has no version: STSv1")
    if mode not in _MODES:
        raise PolicyError("its mode is none of enforce, testing and none")
    if not re.fullmatch(r"[0-9]{1,10}", age) or int(age) > _LONGEST_AGE:
        raise PolicyError(f"its max_age isn't a number of seconds up to {_LONGEST_AGE}")
    exchangers = tuple(host.lower() for host in fields.get("mx", [])[:_MOST_EXCHANGERS])
    if not exchangers and mode != "none":
        raise PolicyError("it names no mail exchanger")
    return Policy(mode, exchangers)


def unlisted(policy: Policy, hosts: Sequence[str]) -> list[str]:
    """Those hosts (lower-case, without the final dot) that the policy doesn't name."""
    if policy.mode == "none":
        return []
    return [host for host in hosts if not any(_matches(host, name) for name in policy.exchangers)]


def _matches(host: str, name: str) -> bool:
    """ "*." stands for exactly one label."""
    if name.startswith("*."):
        return host.partition(".")[2] == name[2:]
    return host == name
