"""SPF: whether this host may send as a domain, and not everybody.

The record is evaluated as a receiver does, for each address from which our mail comes, and for one that
belongs to nobody: so every term of it is looked at.

STANDARDS
    RFC 7208 §4.5 (one record), §4.6.4 (limits on look-ups), §5 (mechanisms).
"""

from __future__ import annotations

from collections.abc import Iterator

from postmask.auth.spf import evaluate
from postmask.authentication import Spf
from postmask.dnsrecords import Record, relevant
from postmask.doctor.domain import codes
from postmask.doctor.domain.nodes import Nodes
from postmask.doctor.finding import Finding
from postmask.doctor.inquiry import Inquiry, shown

_NOBODY = "240.0.0.1"
"""RFC 1112 §4: reserved, nobody sends from there."""


def look(record: Record, nodes: Nodes, inquiry: Inquiry) -> Iterator[Finding]:
    """What is wrong with the published SPF record. record: the wanted one."""
    domain = record.name
    texts = inquiry.texts(domain)
    if texts is None:
        return
    found = relevant(record, [text.decode("latin-1") for text in texts])
    if not found:
        yield codes.SPF_MISSING.at(domain)
    elif len(found) > 1:
        yield codes.SPF_SEVERAL.at(domain, f"it has {len(found)}: {shown(' | '.join(found))}")
    else:
        yield from _evaluated(domain, found[0], nodes, inquiry)


def _evaluated(domain: str, text: str, nodes: Nodes, inquiry: Inquiry) -> Iterator[Finding]:
    nobody = evaluate(_NOBODY, domain, inquiry.dns, inquiry.deadline)
    if nobody.result is Spf.PERMERROR:
        code = codes.SPF_LOOKUPS if nobody.too_many else codes.SPF_BROKEN
        yield code.at(domain, f"{shown(nobody.fault)}, in {shown(text)}")
    if nobody.result is Spf.PASS:
        yield codes.SPF_OPEN.at(domain, f"{shown(text)} lets anybody send")
    for address in nodes.senders:
        verdict = evaluate(address, domain, inquiry.dns, inquiry.deadline)
        if verdict.result is Spf.TEMPERROR:
            inquiry.note(f"{domain} SPF", shown(verdict.fault))
        elif verdict.result not in (Spf.PASS, Spf.PERMERROR):
            yield codes.SPF_EXCLUDES.at(
                f"{domain}, {address}", f"{shown(text)} gives {verdict.result} for {address}"
            )
