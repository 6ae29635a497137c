"""DMARC policy records: the TXT value under _dmarc.DOMAIN, read.

DIAGNOSTICS
    None: what is no DMARC record at all is None; unknown tags are passed over, and a tag whose value is
    none that it can have counts as not given, except for p, sp and np. A fault in those makes the record
    `faulty`, or one of p=none where it names somebody who wants to hear of it (rua).

STANDARDS
    RFC 9989 §4.7 (tags), §4.8 (syntax), §4.10.1 (p, sp and np that can't be read).
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

from postmask.authentication import Policy

_VERSION = re.compile(r"v[ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_TAG = re.compile(r"[ \t]*([A-Za-z]+)[ \t]*=(.*)", re.DOTALL)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
_POLICIES = frozenset(Policy)


class Psd(enum.StrEnum):
    """Whether the domain is one under which strangers register theirs (psd=)."""

    YES = "y"
    NO = "n"
    UNTOLD = "u"


@dataclass(frozen=True, slots=True)
class Record:
    """One domain's policy.

    policy, subdomains, missing: p=, sp= and np=, with what stands in for those that aren't given.
    testing:  t=y, the policy is to be applied one step milder.
    strict_dkim, strict_spf: adkim=s, aspf=s.
    readable: p, sp and np are what they can be. Otherwise all three are none.
    reports:  who wants to hear of it (rua=), as URIs.
    """

    policy: Policy = Policy.NONE
    subdomains: Policy = Policy.NONE
    missing: Policy = Policy.NONE
    psd: Psd = Psd.UNTOLD
    testing: bool = False
    strict_dkim: bool = False
    strict_spf: bool = False
    readable: bool = True
    reports: tuple[str, ...] = ()

    @property
    def faulty(self) -> bool:
        """The policy can't be read, and nobody wants to hear of it."""
        return not self.readable and not self.reports


def parse_record(value: bytes) -> Record | None:
    """The policy in a TXT value; None if that is no DMARC record."""
    text = value.decode("latin-1")
    version = _VERSION.match(text)
    if not version:
        return None
    tags: dict[str, str] = {}
    for spec in text[version.end() :].split(";"):
        if tag := _TAG.fullmatch(spec):
            tags.setdefault(tag[1], tag[2].strip(" \t"))
    values = {name: written.lower() for name, written in tags.items()}
    sound = all(values[name] in _POLICIES for name in ("p", "sp", "np") if name in values)
    policy = _policy(values, "p", Policy.NONE) if sound else Policy.NONE
    subdomains = _policy(values, "sp", policy) if sound else Policy.NONE
    return Record(
        policy=policy,
        subdomains=subdomains,
        missing=_policy(values, "np", subdomains) if sound else Policy.NONE,
        psd=Psd(values["psd"]) if values.get("psd") in set(Psd) else Psd.UNTOLD,
        testing=values.get("t") == "y",
        strict_dkim=values.get("adkim") == "s",
        strict_spf=values.get("aspf") == "s",
        readable=sound,
        reports=_uris(tags.get("rua", "")),
    )


def _policy(values: Mapping[str, str], name: str, otherwise: Policy) -> Policy:
    return Policy(values[name]) if name in values else otherwise


def _uris(text: str) -> tuple[str, ...]:
    return tuple(uri for part in text.split(",") if _URI.fullmatch(uri := part.strip(" \t")))
