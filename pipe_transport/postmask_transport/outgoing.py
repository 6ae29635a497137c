"""The finished copy of a reply: rewritten, searched for leaks, signed, with its bounce address.

DIAGNOSTICS
    copy() raises UnknownNowError where the directory can't say what must not leak. A copy from which
    something can't be removed comes out marked to be held.
"""

from __future__ import annotations

from functools import partial

from postmask.address import Address, AddressError, base_key, parse_loose, split_detail
from postmask.alias.sifting import SpamRules
from postmask.directory.lookup import known
from postmask.directory.records import Alias, ReverseAlias
from postmask.message.headers import Headers
from postmask.message.mailboxes import NamedAddress
from postmask.message.msgid import Direction, carry
from postmask.message.reply import ReplyContext, addressed, reply
from postmask.tokens import BounceKind
from postmask_transport.contacts import written_to
from postmask_transport.courier import Copy
from postmask_transport.forwarding import Stationery
from postmask_transport.incoming import Incoming


class Outgoing:
    """Makes copies for contacts. Shared by threads."""

    def __init__(self, stationery: Stationery) -> None:
        self._with = stationery

    def copy(
        self, incoming: Incoming, recipient: Address, to: ReverseAlias, mailbox_id: int, rules: SpamRules
    ) -> Copy:
        """The copy for the contact behind a reverse alias. mailbox_id: whose reply it is, 0: unproven;
        rules: the alias's.
        """
        alias = to.alias
        contact = NamedAddress(to.contact_name, parse_loose(to.deliver_to))
        lookup = _RealAddresses(self._with, alias)
        contacts = lookup.in_header(incoming.headers)
        contacts[recipient.key] = contact
        finished = reply(
            incoming.headers,
            incoming.body,
            ReplyContext(
                alias=parse_loose(alias.address),
                name=alias.name,
                contact=contact,
                contacts=contacts,
                owners=frozenset(self._owners(alias)),
                map_id=partial(self._contact_id, alias),
                reverse=lookup.real,
                subject_prefix=rules.subject_prefix,
            ),
        )
        signature = self._with.signer.sign(alias.domain, finished.headers, finished.body)
        return Copy(
            row=incoming.row(recipient, to=to.contact, alias_id=alias.id, mailbox_id=mailbox_id),
            sender=self._with.bounce_address(alias.domain, BounceKind.REPLY, alias.id, to.token, mailbox_id),
            recipient=str(contact.address),
            headers=signature + finished.headers.to_bytes(),
            body=finished.body,
            hold=bool(finished.findings),
            reason="; ".join(finished.findings),
        )

    def _owners(self, alias: Alias) -> tuple[str, ...]:
        return known(self._with.directory.account_addresses(alias.account_id)) or ()

    def _contact_id(self, alias: Alias, message_id: bytes) -> bytes:
        """A Message-ID as the contact may see it."""
        return carry(self._with.keys, Direction.TO_CONTACT, alias.address, message_id, alias.domain)


class _RealAddresses:
    """The contacts behind the reverse aliases of one account, and those whom its owner writes to first by an
    address of the same alias; asks for each once.

    In place of a bounce address, which a forward shows that is attached whole, and by which bounces could be
    made up, stands the alias.
    """

    def __init__(self, stationery: Stationery, alias: Alias) -> None:
        self._with = stationery
        self._alias = alias
        self._known: dict[str, NamedAddress | None] = {}

    def in_header(self, headers: Headers) -> dict[str, NamedAddress]:
        """Key of each such address in To and Cc → the contact."""
        found = ((entry.address.key, self._ask(entry.address)) for entry in addressed(headers))
        return {key: contact for key, contact in found if contact is not None}

    def real(self, key: str) -> str | None:
        """The real address behind what is quoted and looks like a reverse alias; None: it is none."""
        try:
            contact = self._ask(parse_loose(key))
        except AddressError:
            return None
        return str(contact.address) if contact else None

    def _ask(self, address: Address) -> NamedAddress | None:
        if address.key not in self._known:
            self._known[address.key] = self._find(address)
        return self._known[address.key]

    def _find(self, address: Address) -> NamedAddress | None:
        if base_key(address) == self._alias.address:
            contact = written_to(split_detail(address.local)[1])
            return NamedAddress(None, contact) if contact else None
        if self._with.is_bounce_address(address):
            return NamedAddress(None, parse_loose(self._alias.address))
        reverse = self._with.reverse_alias(address, self._alias.account_id)
        if reverse is None:
            return None
        return NamedAddress(reverse.contact_name, parse_loose(reverse.deliver_to))
