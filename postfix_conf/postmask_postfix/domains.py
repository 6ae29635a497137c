"""Our domains as Postfix sees them: one alternation of a POSIX extended regular expression.

An internationalised domain is matched in both its forms, A-labels and U-labels, because Postfix
looks up whichever the client used (RFC 6531 §3.7). The alternation is split over several parameters
when it gets long: a single argument of 128 KB is more than a command can be given.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping

import idna

from postmask_postfix.settings import DOMAINS

PART_LIMIT = 60_000
NOTHING = ".^"
"""Matches no string at all: what stands for an empty set of domains."""

_LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
_LONGEST = 253
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")


def is_name(domain: str) -> bool:
    """Whether it is a domain name in lower-case A-labels."""
    return len(domain) <= _LONGEST and _NAME.fullmatch(domain) is not None


def probe(domain: str) -> str:
    """An address there that nobody has: what a table is asked for."""
    return f"postmask-probe@{domain}"


FOREIGN = probe("foreign.invalid")
"""Whoever takes mail for it relays."""


def pattern(domain: str) -> str:
    """The part of the alternation for a domain given in lower-case A-labels; ValueError for anything else."""
    if not is_name(domain):
        raise ValueError(f"{domain!r} is not a domain name in lower-case A-labels")
    return "|".join(form.replace(".", r"\.") for form in _forms(domain))


def _forms(domain: str) -> tuple[str, ...]:
    """The domain, and as U-labels where it has that form: what isn't valid there nobody can write so."""
    if "xn--" in domain:
        with contextlib.suppress(idna.IDNAError):
            return domain, idna.decode(domain)
    return (domain,)


def alternations(domains: Iterable[str], limit: int = PART_LIMIT) -> tuple[str, ...]:
    """The alternation, in parts of at most `limit` octets each; at least one part."""
    parts: list[list[str]] = [[]]
    size = 0
    for domain in sorted(set(domains)):
        item = pattern(domain)
        octets = len(item.encode()) + 1
        if parts[-1] and size + octets > limit:
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += octets
    return tuple("|".join(part) for part in parts) if parts[0] else (NOTHING,)


def parameters(parts: tuple[str, ...]) -> dict[str, str]:
    """The main.cf parameters that hold the parts; the one named DOMAINS stands for all of them."""
    if len(parts) == 1:
        return {DOMAINS: parts[0]}
    named = {f"{DOMAINS}_{number}": part for number, part in enumerate(parts, 1)}
    return {**named, DOMAINS: "|".join(f"${{{name}}}" for name in named)}


def names(settings: Mapping[str, str]) -> frozenset[str]:
    """The domains, in A-labels, that stand in these parameters; others are passed over."""
    parts = [value for name, value in settings.items() if name.startswith(f"{DOMAINS}_")]
    forms = "|".join(parts or [settings.get(DOMAINS, NOTHING)]).replace(r"\.", ".").split("|")
    return frozenset(filter(is_name, forms))
