"""Names below our domains that are the host's own: their mail passes as if Postmask weren't there.

Our domains are told to relay_domains together with what lies below them, so that the gate can refuse it
(550 5.1.2); a name there that the host itself serves is left out of both.

Where a list of the host's can't be read out (regexp:, SQL, LDAP), nobody can say which names it holds. Then
everything below our domains is left to the host, which refuses what it doesn't know itself.

DIAGNOSTICS
    PostfixError when a file that a list names can't be read, or a table can't be asked.

STANDARDS
    postconf(5) parent_domain_matches_subdomains: what lies below a relay domain is the host's, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

from postmask.address import is_within
from postmask_postfix import commands, tables
from postmask_postfix.attachment.site import OWN_DOMAINS
from postmask_postfix.domains import NOTHING, is_name, pattern

_RELAYED = "relay_domains"
_OURS = "postmask_relay_domains"
"""What of ours stands in that list."""
_ALL = ".*"


def below(config_dir: Path, domains: Iterable[str]) -> str:
    """The names below our domains (lower-case A-labels) that are the host's, as one alternation."""
    values = commands.values(config_dir, *OWN_DOMAINS, _RELAYED, _OURS)
    found = []
    for name in (*OWN_DOMAINS, _RELAYED):
        names = tables.listed(config_dir, _theirs(values, name))
        if names is None:
            return _ALL
        found.append({one.lstrip(".") for one in names})
    return alternation(set(domains), set().union(*found), found[-1])


def own(config_dir: Path, domains: Collection[str]) -> dict[str, str]:
    """Those of some domains that are the host's own, with the parameter that says so."""
    if not domains:
        return {}
    values = commands.values(config_dir, *OWN_DOMAINS)
    found: dict[str, str] = {}
    for name in OWN_DOMAINS:
        found = dict.fromkeys(tables.known(config_dir, values[name], domains), name) | found
    return found


def relayed(config_dir: Path, domains: Collection[str]) -> tuple[str, ...]:
    """Those of ours that the host's own words or tables in relay_domains have as well."""
    values = commands.values(config_dir, _RELAYED, _OURS)
    return tuple(sorted(tables.known(config_dir, " ".join(_theirs(values, _RELAYED)), domains)))


def _theirs(values: Mapping[str, str], name: str) -> list[str]:
    """What stands in the parameter but for what is ours."""
    ours = tables.elements(values.get(_OURS, ""))
    return [element for element in tables.elements(values[name]) if element not in ours]


def alternation(ours: Collection[str], listed: Collection[str], relayed: Collection[str]) -> str:
    """The names as one alternation. listed: all that the host serves. relayed: those of them whose
    subdomains it serves as well. Pure."""
    return "|".join(sorted({*_named(ours, listed), *_covered(ours, relayed)})) or NOTHING


def _named(ours: Collection[str], listed: Collection[str]) -> Iterator[str]:
    """The host's names below ours, with what lies below them."""
    for name in listed:
        if name not in ours and is_name(name) and any(name.endswith(f".{one}") for one in ours):
            yield rf"(.+\.)?({pattern(name)})"


def _covered(ours: Collection[str], relayed: Collection[str]) -> Iterator[str]:
    """What lies below those of ours that lie in, or below, a relay domain of the host's."""
    for one in ours:
        if any(is_within(one, name) for name in relayed):
            yield rf".+\.({pattern(one)})"
