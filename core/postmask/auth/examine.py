"""Gathers evidence for the reply rule, in the order of its cost, and no more than is needed.

A login is proof without a question to DNS; so is a From that isn't the owner's. SPF is evaluated only
where it would make a difference. DNS that is down thus delays nobody who has logged in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from postmask.auth.proof import Proof, Proven, ReplyEvidence, Unproven, is_owner, prove
from postmask.authentication import DkimResult, Spf, SpfResult


def examine(
    known: ReplyEvidence, dkim: Callable[[], tuple[DkimResult, ...]], spf: Callable[[], SpfResult]
) -> Proof:
    """What the reply rule says. known: without dkim and spf, which are called for at need."""
    proof = prove(known)
    if isinstance(proof, Proven) or not is_owner(known):
        return proof
    signed = replace(known, dkim=dkim())
    proof = prove(signed)
    if isinstance(proof, Proven) or not _spf_matters(signed):
        return proof
    return prove(replace(signed, spf=spf()))


def _spf_matters(evidence: ReplyEvidence) -> bool:
    """Whether the best that SPF could say would change anything."""
    author = evidence.claims.author
    assert author is not None, "is_owner saw to that"
    best = replace(evidence, spf=SpfResult(Spf.PASS, author.domain))
    return not isinstance(prove(best), Unproven)
