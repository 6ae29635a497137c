"""Whether two domains belong to one owner, decided strictly.

Aligned are equal domains, and two of which one lies under the other, provided that the upper one is a
domain that somebody registered, and no name under which strangers register theirs (com, co.uk,
github.io). Siblings are not aligned. That is narrower than DMARC's relaxed mode, which compares
organisational domains, and needs no DNS.

STANDARDS
    RFC 7489 §3.1 (identifier alignment), §3.2 (organisational domain), publicsuffix.org.
"""

from __future__ import annotations

import functools

from publicsuffixlist import PublicSuffixList

from postmask.address import is_within


def aligned(one: str, other: str) -> bool:
    """Whether the two domains (lower-case A-labels) are aligned."""
    upper, lower = sorted((one, other), key=len)
    if not is_within(lower, upper):
        return False
    return registrable(upper) is not None


def registrable(domain: str) -> str | None:
    """The part of the domain that somebody registered: "mail.example.co.uk" -> "example.co.uk".

    None for a public suffix, a single label, and what isn't a domain name (an address literal).
    """
    labels = domain.split(".")
    if len(labels) < 2 or not all(labels) or domain.startswith("["):
        return None
    return _suffixes().privatesuffix(domain)


@functools.cache
def _suffixes() -> PublicSuffixList:
    """The list that comes with the package: constant data, read at first use (90 ms)."""
    return PublicSuffixList()
