"""Evidence is gathered in the order of its cost, and no more than is needed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postmask.address import parse
from postmask.auth.claims import Claims
from postmask.auth.examine import examine
from postmask.auth.proof import By, Proven, ReplyEvidence, Undecided, Unproven
from postmask.authentication import DkimResult, Spf, SpfResult
from postmask.directory.records import Mailbox, MailboxState

NOW = 1_800_000_000
REVERSE = "bob.token@alias.test"
MAILBOX = Mailbox(id=1, account_id=1, address="owner@example.com", state=MailboxState.ACTIVE, login="owner")
KNOWN = ReplyEvidence(
    claims=Claims(author=parse("owner@example.com"), to=((REVERSE,),), date=NOW),
    reverse_alias=REVERSE,
    mailboxes=(MAILBOX,),
    login=None,
    dkim=(),
    spf=None,
    client_trusted=False,
    now=NOW,
)
GOOD = DkimResult(domain="example.com", passed=True, signed=("from", "to", "date"), key_bits=2048, b=b"x")
AS_MICROSOFT = replace(GOOD, signed=("from", "date"))
UNSURE = replace(GOOD, passed=False, temporary=True)
PASS = SpfResult(Spf.PASS, "example.com")


class Asked:
    """Answers as given, and remembers what it was asked."""

    def __init__(self, *dkim: DkimResult, spf: SpfResult = PASS) -> None:
        self._dkim, self._spf = dkim, spf
        self.questions: list[str] = []

    def dkim(self) -> tuple[DkimResult, ...]:
        self.questions.append("dkim")
        return self._dkim

    def spf(self) -> SpfResult:
        self.questions.append("spf")
        return self._spf


@pytest.mark.parametrize(
    ("known", "asked", "questions", "outcome"),
    [
        (replace(KNOWN, login="owner"), Asked(GOOD), [], By.LOGIN),
        (replace(KNOWN, claims=Claims(None, "several From fields")), Asked(GOOD), [], Unproven),
        (replace(KNOWN, claims=Claims(parse("eve@example.com"))), Asked(GOOD), [], Unproven),
        (KNOWN, Asked(GOOD), ["dkim"], By.DKIM),
        (KNOWN, Asked(), ["dkim"], Unproven),
        (KNOWN, Asked(replace(GOOD, has_length=True)), ["dkim"], Unproven),
        (replace(KNOWN, client_trusted=True), Asked(AS_MICROSOFT), ["dkim"], Unproven),
        (KNOWN, Asked(AS_MICROSOFT), ["dkim", "spf"], By.DKIM_SPF),
        (KNOWN, Asked(AS_MICROSOFT, spf=SpfResult(Spf.FAIL, "example.com")), ["dkim", "spf"], Unproven),
        (KNOWN, Asked(AS_MICROSOFT, spf=SpfResult(Spf.TEMPERROR, "example.com")), ["dkim", "spf"], Undecided),
        (KNOWN, Asked(UNSURE), ["dkim", "spf"], Undecided),
        (replace(KNOWN, mailboxes=(replace(MAILBOX, allow_spf=True),)), Asked(), ["dkim", "spf"], By.SPF),
    ],
)
def test_what_is_asked(known, asked, questions, outcome):
    proof = examine(known, asked.dkim, asked.spf)
    assert asked.questions == questions
    if isinstance(outcome, By):
        assert isinstance(proof, Proven)
        assert proof.by is outcome
    else:
        assert isinstance(proof, outcome)
