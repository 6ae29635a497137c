"""Mail to a bounce address: a delivery status notification comes home and is recorded.

Nothing is sent to the envelope sender of what bounced, which may be forged, unless it was
authenticated: then it, or the owner whose reply failed, is told in a notice that names only the alias
and the status. What else a machine answers to an owner's reply (a vacation message, say) is for the owners.

DIAGNOSTICS
    Anything else that isn't a DSN is discarded with a record. SpoolError and UnknownNowError defer.
"""

from __future__ import annotations

from postmask.address import Address
from postmask.clock import DAY, Clock
from postmask.directory.lookup import known
from postmask.directory.records import Alias, AliasState, Directory, Mailbox
from postmask.keys import Keyring
from postmask.message.dsn import Dsn, DsnRecipient, parse
from postmask.message.trace import FIELD, open_trace
from postmask.spool import Entry, News, Notice, Outcome, Spool
from postmask.tokens import Bounce, BounceKind
from postmask.verdict import Verdict, deliver, discard
from postmask_transport.courier import Courier
from postmask_transport.incoming import Incoming

_NOTICES_A_DAY = 20


class Bounces:
    """Takes bounces. Shared by threads."""

    def __init__(
        self,
        *,
        directory: Directory,
        spool: Spool,
        keys: Keyring,
        clock: Clock,
        courier: Courier,
        notices_from: str | None,
    ) -> None:
        self._directory = directory
        self._spool = spool
        self._keys = keys
        self._clock = clock
        self._courier = courier
        self._notices_from = notices_from

    def handle(self, incoming: Incoming, recipient: Address, bounce: Bounce) -> Verdict | Alias:
        """Record it; or the alias whose owners are to get it. Raises SpoolError and UnknownNowError."""
        row = incoming.row(
            recipient, Outcome.RECORDED, alias_id=bounce.alias_id, mailbox_id=bounce.mailbox_id
        )
        dsn = parse(incoming.headers, incoming.body)
        if not isinstance(dsn, Dsn):
            if bounce.kind is BounceKind.REPLY and not incoming.envelope.sender:
                alias = self._alias(bounce)
                if alias and alias.state is AliasState.ACTIVE:
                    return alias
            self._courier.conclude(row, ())
            return discard(f"not a bounce: {dsn.kind}")
        first = dsn.recipients[0]
        alias = self._alias(bounce)
        news: list[News] = self._entries(incoming, bounce, alias, first)
        if first.action == "failed" and alias is not None:
            news += self._notices(bounce, alias, first, dsn)
        self._courier.conclude(row, news)
        return deliver(f"bounce {first.action} {first.status}")

    def _entries(
        self, incoming: Incoming, bounce: Bounce, alias: Alias | None, first: DsnRecipient
    ) -> list[News]:
        now = self._clock.now()
        entries: list[News] = [
            Entry.new(
                "bounce", at=now, alias_id=bounce.alias_id, contact_token=bounce.contact.hex(),
                mailbox_id=bounce.mailbox_id, kind=bounce.kind.name.lower(), action=first.action,
                status=first.status, reason="",
            )
        ]  # fmt: skip
        if alias is not None:
            entries.append(
                Entry.new(
                    "event", at=now, account_id=alias.account_id, alias_id=alias.id, kind="bounced",
                    mailbox_id=bounce.mailbox_id or None, status=first.status, reason=first.action,
                    queue_id=incoming.queue_id,
                )
            )  # fmt: skip
        return entries

    def _alias(self, bounce: Bounce) -> Alias | None:
        return known(self._directory.alias_by_id(bounce.alias_id)) if bounce.alias_id else None

    def _notices(self, bounce: Bounce, alias: Alias, first: DsnRecipient, dsn: Dsn) -> list[Notice]:
        """For whoever may be told: the owner of a reply, the authenticated sender of a forward."""
        told = self._owner(alias, bounce) if bounce.kind is BounceKind.REPLY else self._sender(dsn)
        if not told:
            return []
        if self._spool.notices_since(told, "bounce", self._clock.now() - DAY) >= _NOTICES_A_DAY:
            return []
        through = "a message that you sent through" if bounce.kind is BounceKind.REPLY else "your message to"
        return [
            Notice(
                self._notices_from or f"postmask@{alias.domain}",
                told,
                "bounce",
                f"Undelivered mail: {alias.address}",
                f"This is about {through} {alias.address}: it could not be delivered.\n\n"
                f"The receiving server answered with status {first.status}.\n",
            )
        ]

    @staticmethod
    def _owner(alias: Alias, bounce: Bounce) -> str:
        mailboxes: tuple[Mailbox, ...] = alias.mailboxes
        return next((mailbox.deliver_to for mailbox in mailboxes if mailbox.id == bounce.mailbox_id), "")

    def _sender(self, dsn: Dsn) -> str:
        """The envelope sender of what bounced, if it is known to be the real one."""
        field = dsn.original_headers.get(FIELD) if dsn.original_headers else None
        trace = open_trace(self._keys, field.value) if field else None
        return trace.sender if trace is not None and trace.authenticated else ""
