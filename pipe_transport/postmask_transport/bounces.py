"""Mail to a bounce address: a delivery status notification comes home and is recorded.

Nothing is sent to the envelope sender of what bounced, which may be forged, unless it was
authenticated: then it, or the owner whose reply failed, is told in a notice that names only the alias
and the status, and the owner's also the contact. What else comes to the envelope sender of an owner's
reply (a vacation message, say) is for the owners.

DIAGNOSTICS
    Anything else that isn't a DSN is discarded with an event. SpoolError and UnknownNowError defer.
"""

from __future__ import annotations

from postmask.address import Address
from postmask.directory.lookup import Found, known
from postmask.directory.records import Alias, AliasState
from postmask.message.dsn import Dsn, parse
from postmask.message.forward import author
from postmask.message.headers import Headers
from postmask.message.reply import addressed
from postmask.message.trace import FIELD, open_trace
from postmask.spool import Entry, News, Notice, Outcome
from postmask.tokens import Bounce, BounceKind, contact_of
from postmask.verdict import Verdict, deliver, discard
from postmask_transport.courier import Courier
from postmask_transport.forwarding import Stationery
from postmask_transport.incoming import Incoming

_NOTICES_A_DAY = 20
_MOST_ASKED = 50
"""Addresses that came back of which the directory is asked whether they are the contact."""

_EVENTS = {"failed": "bounced", "delayed": "deferred"}


class Bounces:
    """Takes bounces. Shared by threads."""

    def __init__(self, stationery: Stationery, courier: Courier) -> None:
        self._with = stationery
        self._courier = courier

    def handle(self, incoming: Incoming, recipient: Address, bounce: Bounce) -> Verdict | Alias:
        """Record it; or the alias whose owners are to get it. Raises SpoolError and UnknownNowError."""
        row = incoming.row(
            recipient, Outcome.RECORDED, alias_id=bounce.alias_id, mailbox_id=bounce.mailbox_id
        )
        # What a contact's filter says to a reply is for the owner, as it is.
        reply = bounce.kind is BounceKind.REPLY
        dsn = parse(incoming.headers, incoming.body, refusals=not reply)
        if not isinstance(dsn, Dsn):
            alias = self._alias(bounce)
            if alias and reply and alias.state is AliasState.ACTIVE:
                return alias
            reason = f"not a bounce: {dsn.kind}"
            event = alias and self._with.event(
                "discarded", alias, incoming, mailbox_id=bounce.mailbox_id or None, reason=reason
            )
            self._courier.conclude(incoming, row, [event] if event else ())
            return discard(reason)
        self._courier.conclude(incoming, row, self._news(incoming, bounce, dsn))
        return deliver(f"bounce {dsn.action} {dsn.status}")

    def _alias(self, bounce: Bounce) -> Alias | None:
        return known(self._with.directory.alias_by_id(bounce.alias_id)) if bounce.alias_id else None

    def _news(self, incoming: Incoming, bounce: Bounce, dsn: Dsn) -> list[News]:
        news: list[News] = [
            Entry.new(
                "bounce", at=self._with.clock.now(), alias_id=bounce.alias_id,
                contact_token=bounce.contact.hex(), mailbox_id=bounce.mailbox_id,
                kind=bounce.kind.name.lower(), action=dsn.action, status=dsn.status, reason="",
            )
        ]  # fmt: skip
        alias = self._alias(bounce)
        kind = _EVENTS.get(dsn.action)
        if alias is None or kind is None:
            return news
        contact = self._contact(alias, bounce, dsn.original_headers) if dsn.original_headers else None
        news.append(
            self._with.event(
                kind, alias, incoming, contact=contact, mailbox_id=bounce.mailbox_id or None,
                status=dsn.status, reason=dsn.action,
            )
        )  # fmt: skip
        notice = self._notice(bounce, alias, contact, dsn) if dsn.action == "failed" else None
        return [*news, notice] if notice else news

    def _contact(self, alias: Alias, bounce: Bounce, returned: Headers) -> str | None:
        """Who wrote what was forwarded, or whom the reply was for, if what came back shows it: that is
        anybody's word, so the contact must be the one of whose token the bounce address has a part."""
        if bounce.kind is BounceKind.FORWARD:
            sender = author(returned, None)
            behind = sender and self._with.reverse_alias(sender.address, alias.account_id)
            return behind.contact if behind and contact_of(behind.token) == bounce.contact else None
        for entry in addressed(returned)[:_MOST_ASKED]:
            found = self._with.directory.contact(alias.id, entry.address.key)
            if isinstance(found, Found) and contact_of(found.value.token) == bounce.contact:
                return found.value.address
        return None

    def _notice(self, bounce: Bounce, alias: Alias, contact: str | None, dsn: Dsn) -> Notice | None:
        """For whoever may be told: the owner of a reply, the authenticated sender of a forward."""
        if bounce.kind is BounceKind.REPLY:
            told = next((one.deliver_to for one in alias.mailboxes if one.id == bounce.mailbox_id), "")
            what = f"a message that you sent{f' to {contact}' if contact else ''} through"
        else:
            told, what = self._sender(dsn), "your message to"
        return self._with.notice(
            "bounce",
            alias,
            told,
            f"Undelivered mail: {alias.address}",
            f"This is about {what} {alias.address}: it could not be delivered.\n\n"
            f"The receiving server answered with status {dsn.status}.\n",
            most=_NOTICES_A_DAY,
        )

    def _sender(self, dsn: Dsn) -> str:
        """The envelope sender of what bounced, if it is known to be the real one."""
        field = dsn.original_headers.get(FIELD) if dsn.original_headers else None
        trace = open_trace(self._with.keys, field.value) if field else None
        return trace.sender if trace is not None and trace.authenticated else ""
