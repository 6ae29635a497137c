"""Block lists (DNSBL): whether this host's addresses are on one, told apart from lists that don't answer us.

A list is believed only if it answers as one: its test entry, 127.0.0.2, is there, and 127.0.0.1 isn't.
So a list that was given up, and then lists nobody or everybody, or one that refuses our resolver, is told
as such.

STANDARDS
    RFC 5782 §2.1 (what is asked, and what an answer is), §2.4 (IPv6), §5 (test entries). What lists answer
    to whom they refuse: 127.255.255.0/24 (Spamhaus and others), 127.0.0.1 (URIBL and others).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Sequence

from postmask.doctor.finding import Finding, declared, error, warning
from postmask.doctor.inquiry import Inquiry, shown

LISTED = error(
    "PM501",
    "An address from which mail is sent is on a block list.",
    "Whoever asks that list refuses or marks mail from here.",
    "See what the list says of it, end what led to it, then ask the list to take it off.",
)
REFUSED = warning(
    "PM502",
    "A block list doesn't answer the resolver that asks it.",
    "That is no listing, but nobody knows whether there is one; and a Postfix that asks it by the same "
    "resolver may take the refusal for a listing and refuse all mail.",
    "Ask by a resolver of your own on this host, not by a public one or your hoster's (dns.nameservers); or "
    "get a zone of your own from the list; or take it out of doctor.blocklists.",
)
UNANSWERED = warning(
    "PM503",
    "A block list could not be asked.",
    "Whether an address is on it isn't known.",
    "If that stays so, see whether the list still exists; else take it out of doctor.blocklists.",
)
DEAD = warning(
    "PM504",
    "A block list doesn't list its own test entry.",
    "It was given up, or answers our resolver with nothing: that no address is found there means nothing.",
    "See whether the list still exists and may be asked from here; else take it out of doctor.blocklists, "
    "and out of Postfix.",
)
LISTS_ALL = warning(
    "PM505",
    "A block list lists what is never listed, so probably everything.",
    "It was given up, or its name was sold; whoever still asks it refuses all mail.",
    "Take it out of doctor.blocklists, and out of Postfix.",
)
NONSENSE = warning(
    "PM506",
    "A block list answers with what is no answer of a block list.",
    "Somebody else answers in its place: a search page of the hoster's, or a new owner of the name.",
    "Ask by a resolver of your own on this host (dns.nameservers), or take it out of doctor.blocklists.",
)
CODES = declared(globals())

_TEST = "127.0.0.2"
_NEVER = "127.0.0.1"
_ANSWERS = ipaddress.ip_network("127.0.0.0/8")
_REFUSALS = (ipaddress.ip_network("127.255.255.0/24"), ipaddress.ip_network("127.0.0.1/32"))
_MEANINGS = {
    "127.255.255.252": "the name of the list is mistyped",
    "127.255.255.254": "the resolver is a public one, or its name doesn't tell whose it is",
    "127.255.255.255": "the resolver asks too much",
}
"""As Spamhaus means them."""


def look(zone: str, addresses: Sequence[str], inquiry: Inquiry) -> Iterator[Finding]:
    """What a block list says of these addresses."""
    if fault := _health(zone, inquiry):
        yield fault
    elif not inquiry.unanswered:
        for address in addresses:
            yield from _address(zone, address, inquiry)
    if inquiry.unanswered:
        yield UNANSWERED.at(zone, inquiry.unanswered)


def _health(zone: str, inquiry: Inquiry) -> Finding | None:
    """What makes the list one that isn't to be believed."""
    test = _answers(zone, _TEST, inquiry)
    if test is None:
        return None
    if not test:
        return DEAD.at(zone, f"{zone} doesn't list {_TEST}")
    if fault := _fault(zone, zone, test):
        return fault
    return LISTS_ALL.at(zone, f"{zone} lists {_NEVER}") if _answers(zone, _NEVER, inquiry) else None


def _address(zone: str, address: str, inquiry: Inquiry) -> Iterator[Finding]:
    answers = _answers(zone, address, inquiry)
    if not answers:
        return
    where = f"{address}, {zone}"
    if fault := _fault(zone, where, answers):
        yield fault
        return
    reasons = inquiry.texts(_name(zone, address)) or ()
    said = f": {shown(b' '.join(reasons))}" if reasons else ""
    yield LISTED.at(where, f"{zone} lists {address} ({', '.join(answers)}){said}")


def _fault(zone: str, where: str, answers: Sequence[str]) -> Finding | None:
    """What makes these answers none."""
    for answer in answers:
        address = ipaddress.ip_address(answer)
        if address not in _ANSWERS:
            return NONSENSE.at(where, f"{zone} answers {answer}")
        if any(address in network for network in _REFUSALS):
            meaning = _MEANINGS.get(answer, "it refuses to answer")
            return REFUSED.at(where, f"{zone} answers {answer}: {meaning}")
    return None


def _answers(zone: str, address: str, inquiry: Inquiry) -> tuple[str, ...] | None:
    return inquiry.hosts(_name(zone, address))


def _name(zone: str, address: str) -> str:
    """Octets or half octets backwards, then the zone (RFC 5782 §2.1, §2.4)."""
    backwards = ipaddress.ip_address(address).reverse_pointer
    return f"{backwards.removesuffix('.in-addr.arpa').removesuffix('.ip6.arpa')}.{zone}"
