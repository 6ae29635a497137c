"""Mail to a reverse alias: a reply by the alias's owner, if it is proven to be one.

The evidence (login, DKIM, SPF) is gathered here and judged by the pure reply rule. A proven reply is
rewritten and goes to the contact; its proof is good for this one message and its retries. What isn't
proven reaches nobody: it is refused to a sender who had logged in, and held, as the copy that would
have gone out, from everybody else, with a notice to the mailbox.

DIAGNOSTICS
    handle() raises UnknownNowError and SpoolError, which defer. A temporary DNS error defers, until
    Postfix would return the message: then it counts as unproven. A proof
    that was used by another message: discarded with a record, never refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from postmask.address import Address
from postmask.auth import dkim, spf
from postmask.auth.claims import read_claims
from postmask.auth.examine import examine
from postmask.auth.networks import Network, is_own
from postmask.auth.proof import Proof, Proven, ReplyEvidence, Undecided, Unproven, mark
from postmask.directory.lookup import Absent, Found, Unavailable
from postmask.directory.records import Alias, AliasState, MailboxState, ReverseAlias
from postmask.rates import Rate
from postmask.spool import LocalContact, Notice, Outcome, ReplayMark, ReplayUsedError
from postmask.tokens import reverse_token
from postmask.verdict import Kind, Verdict, defer, discard, hold, reject, unavailable
from postmask_transport.contacts import written_to
from postmask_transport.courier import TAKEN_OVER, Consignment, Courier
from postmask_transport.examination import Examination
from postmask_transport.forwarding import Stationery
from postmask_transport.incoming import Incoming
from postmask_transport.outgoing import Outgoing
from postmask_transport.rules import RuleBook

_NOTICES_A_DAY = 5

_PROVE_IT = (
    "If it was yours, send it from the mailbox's own provider, addressed to the contact in To\n"
    "or Cc. Your mail operator can see and release what is held."
)
_TAKE_IT_OUT = (
    "The contact might see an address that is yours alone. Take it out, and send the message\n"
    "again. Your mail operator can see what is held, and release it as it is."
)
_ASK = "Your mail operator can see and release what is held."
"""What is to be done, as a notice's last words."""


class Replying:
    """Judges and sends replies. Shared by threads.

    own_networks: clients whose address proves nothing about a sender, for SPF: loopback, the site's
    mynetworks and whom it trusts with XCLIENT or XFORWARD. rate: replies of one mailbox.
    """

    def __init__(
        self,
        *,
        stationery: Stationery,
        outgoing: Outgoing,
        courier: Courier,
        book: RuleBook,
        rate: Rate,
        own_networks: Sequence[Network],
    ) -> None:
        self._with = stationery
        self._outgoing = outgoing
        self._courier = courier
        self._book = book
        self._rate = rate
        self._own_networks = own_networks

    def handle(self, incoming: Incoming, recipient: Address, token: str, examined: Examination) -> Verdict:
        """Mail to a reverse alias whose MAC is right."""
        found = self._with.directory.reverse_alias(token)
        if isinstance(found, Unavailable):
            return unavailable(found.reason)
        if isinstance(found, Absent):
            return defer("4.2.1", "not known here yet, try again later", "reverse alias: not known here yet")
        if found.value.alias.state is AliasState.DISABLED:
            return self._disabled(incoming, recipient, found.value)
        proof = self._proof(incoming, recipient, found.value.alias, examined)
        return self._act(incoming, recipient, found.value, (), proof, examined)

    def write_first(
        self, incoming: Incoming, recipient: Address, alias: Alias, detail: str | None, examined: Examination
    ) -> Verdict | None:
        """Mail to "alias+user=host": a proven owner writes to somebody new. None: ordinary detail."""
        contact = written_to(detail)
        if contact is None:
            return None
        proof = self._proof(incoming, recipient, alias, examined)
        if isinstance(proof, Unproven):
            return None
        known = self._with.contacts.find(alias.id, contact.key)
        token = known.token if known else reverse_token(self._with.keys, alias.id, contact.key)
        told = known is not None and known.told
        fresh = () if told else (LocalContact(token, alias.id, contact.key, None, str(contact)),)
        reverse = ReverseAlias(token, alias, contact.key, None, str(contact))
        return self._act(incoming, recipient, reverse, fresh, proof, examined)

    def _act(
        self,
        incoming: Incoming,
        recipient: Address,
        reverse: ReverseAlias,
        fresh: Sequence[LocalContact],
        proof: Proof,
        examined: Examination,
    ) -> Verdict:
        match proof:
            case Undecided(reason) if incoming.ending:
                return self._unproven(incoming, recipient, reverse, fresh, f"{TAKEN_OVER}: {reason}")
            case Undecided(reason):
                return defer("4.4.3", "the sender can't be verified now, try again later", reason)
            case Unproven(reason):
                return self._unproven(incoming, recipient, reverse, fresh, reason)
            case Proven():
                return self._proven(incoming, recipient, reverse, fresh, proof, examined)

    def _proof(self, incoming: Incoming, recipient: Address, alias: Alias, examined: Examination) -> Proof:
        client = incoming.envelope.client
        now = self._with.clock.now()
        known = ReplyEvidence(
            claims=read_claims(incoming.headers),
            reverse_alias=recipient.key,
            mailboxes=alias.mailboxes,
            login=client.login,
            dkim=(),
            spf=None,
            client_trusted=is_own(client.address, self._own_networks),
            now=now,
        )
        seen = incoming.evidence.authentication if incoming.evidence else None
        if seen is not None:
            proof = examine(known, dkim=lambda: seen.dkim, spf=lambda: seen.spf)
            if not isinstance(proof, Undecided):
                return proof
        dns, deadline = examined.questions, examined.deadline
        return examine(
            known,
            dkim=lambda: dkim.verify(incoming.headers, incoming.body, dns.txt, deadline, now),
            spf=lambda: spf.check(
                client.address or "", client.helo or "", incoming.envelope.sender, dns, deadline
            ),
        )

    def _proven(
        self,
        incoming: Incoming,
        recipient: Address,
        reverse: ReverseAlias,
        fresh: Sequence[LocalContact],
        proof: Proven,
        examined: Examination,
    ) -> Verdict:
        if self._rate.reached(proof.mailbox.id):
            return defer("4.7.1", "too many replies within an hour, try again later", "rate of replies")
        rules = self._book.rules(reverse.alias)
        sifted = rules.reply(examined.spam(insists=rules.insists))
        if sifted.kind is Kind.DEFER:
            return sifted
        copy = self._outgoing.copy(incoming, recipient, reverse, proof.mailbox.id, rules)
        advice = _TAKE_IT_OUT if copy.hold else _ASK
        if sifted.kind is Kind.HOLD:
            copy = replace(copy, hold=True, reason="; ".join(filter(None, (copy.reason, sifted.reason))))
        marks = [
            ReplayMark(mark(signature, reverse.token), copy.row.key, reverse.token)
            for signature in proof.signatures
        ]
        for used in marks:
            match self._with.directory.replay_mark(used.mark, used.reverse_token):
                case Unavailable(reason):
                    return unavailable(reason)
                case Found(key) if key != used.ledger_key:
                    return self._replayed(incoming, recipient, reverse)
        kind = "held" if copy.hold else "replied"
        event = self._with.event(
            kind, reverse.alias, incoming, contact=reverse.contact, mailbox_id=proof.mailbox.id,
            reason=copy.reason or None,
        )  # fmt: skip
        why = f"it was put on hold: {copy.reason}."
        notice = self._notice(reverse, "held", why, advice) if copy.hold else None
        begun = self._with.spool.row(copy.row.key)
        try:
            verdict = self._courier.send(incoming, Consignment([copy], fresh, marks, event, notice))
        except ReplayUsedError:
            return self._replayed(incoming, recipient, reverse)
        if verdict.accepted and (begun is None or begun.outcome is Outcome.PENDING):
            self._rate.count(proof.mailbox.id)
        return replace(verdict, reason=f"reply proven by {proof.by}; {verdict.reason}")

    def _replayed(self, incoming: Incoming, recipient: Address, reverse: ReverseAlias) -> Verdict:
        """A stolen proof: accepted, to nobody, so that the answer tells a thief nothing."""
        why = "the signature was used by another message"
        row = incoming.row(recipient, Outcome.DISCARDED, alias_id=reverse.alias.id, reason=why)
        event = self._with.event(
            "discarded", reverse.alias, incoming, contact=reverse.contact, reason="replayed signature"
        )
        self._courier.conclude(incoming, row, [event])
        return discard(f"reply: {why}")

    def _unproven(
        self,
        incoming: Incoming,
        recipient: Address,
        reverse: ReverseAlias,
        fresh: Sequence[LocalContact],
        reason: str,
    ) -> Verdict:
        return self._kept_back(
            incoming,
            recipient,
            reverse,
            fresh,
            refusal=reject("5.7.1", "this login may not reply through this address", f"reply: {reason}"),
            held=hold(f"reply not proven: {reason}"),
            told=("unproven", f"it isn't proven to be yours, and was held: {reason}.", _PROVE_IT),
        )

    def _disabled(self, incoming: Incoming, recipient: Address, reverse: ReverseAlias) -> Verdict:
        """What RCPT refuses, by a way on which nobody asked there. Whoever it is, nothing goes out."""
        reason = "reply: the alias is disabled"
        refusal = reject("5.2.1", "this address is disabled", reason)
        return self._kept_back(incoming, recipient, reverse, (), refusal=refusal, held=hold(reason))

    def _kept_back(
        self,
        incoming: Incoming,
        recipient: Address,
        reverse: ReverseAlias,
        fresh: Sequence[LocalContact],
        *,
        refusal: Verdict,
        held: Verdict,
        told: tuple[str, str, str] | None = None,
    ) -> Verdict:
        """Refused to whoever had logged in; else the finished copy is held. told: of which the owner gets a
        notice, kind, words and advice."""
        if incoming.envelope.client.login and incoming.may_bounce:
            event = self._with.event("refused", reverse.alias, incoming, reason=refusal.reason)
            self._courier.conclude(incoming, incoming.row(recipient, Outcome.REFUSED), [event])
            return refusal
        copy = self._outgoing.copy(incoming, recipient, reverse, 0, self._book.rules(reverse.alias))
        copy = replace(copy, hold=True, reason=held.reason)
        event = self._with.event("held", reverse.alias, incoming, contact=reverse.contact, reason=held.reason)
        notice = self._notice(reverse, *told) if told else None
        verdict = self._courier.send(incoming, Consignment([copy], fresh, event=event, notice=notice))
        return held if verdict.accepted else verdict

    def _notice(self, reverse: ReverseAlias, kind: str, what: str, advice: str) -> Notice | None:
        """For the first usable mailbox, a few a day."""
        alias = reverse.alias
        told = next((m.deliver_to for m in alias.mailboxes if m.state is MailboxState.ACTIVE), "")
        return self._with.notice(
            kind,
            alias,
            told,
            f"A reply through {alias.address} was not sent",
            f"A message was sent to {reverse.deliver_to} through your alias {alias.address},\n"
            f"but {what}\n\n{advice}\n",
            most=_NOTICES_A_DAY,
        )
