"""One alias with its keys, and messages sent through it in both directions, as the golden cases see it.

The alias is shop@alias.test, its owner owner@mailbox.test. Reverse aliases are made up from the address,
so that the expected files don't depend on how tokens are computed.
"""

from __future__ import annotations

import base64
import hashlib
import re

from postmask.address import Address, AddressError, parse_loose
from postmask.keys import Keyring, Secret
from postmask.message import forward, headers, msgid, reply, trace
from postmask.message.mailboxes import NamedAddress

KEYS = Keyring([Secret(1, "2026-01-01", b"k" * 32)])
ALIAS = parse_loose("shop@alias.test")
OTHER_ALIAS = parse_loose("second@alias.test")
OWNER = "owner@mailbox.test"
OWNERS = frozenset({OWNER, "office@work.test"})
CONTACT = NamedAddress("Bob", parse_loose("bob@example.com"))
AUTHSERV_ID = "mx.alias.test"
TRACE = trace.seal_trace(KEYS, trace.Trace("4XyZ", "bob@example.com", True, 1_800_000_000, 7))


def reverse_for(address: Address) -> Address:
    """A reverse alias of the right shape."""
    hint = (
        re.sub(r"[^a-z0-9]+", "-", f"{address.local.lower()}-at-{address.domain}").strip("-")[:39].strip("-")
    )
    token = base64.b32encode(hashlib.sha256(address.key.encode()).digest())[:24].decode().lower()
    return Address(f"{hint}.{token}", ALIAS.domain)


def own(address: Address) -> bool:
    return address == OTHER_ALIAS


def to_owner(message_id: bytes) -> bytes:
    return msgid.carry(KEYS, msgid.Direction.TO_OWNER, ALIAS.key, message_id, ALIAS.domain)


def to_contact(message_id: bytes) -> bytes:
    return msgid.carry(KEYS, msgid.Direction.TO_CONTACT, ALIAS.key, message_id, ALIAS.domain)


def envelope_sender(text: str) -> NamedAddress | None:
    try:
        return NamedAddress(None, parse_loose(text))
    except AddressError:
        return None


def forwarded(data: bytes, sender: str = "bounce@example.com", limit: int = forward.WANTED_LIMIT) -> bytes:
    """The message as the owner gets it."""
    header, body = headers.split(data)
    envelope = envelope_sender(sender)
    wanted = forward.wanted(header, ALIAS, own, envelope, limit)
    reverse = {entry.address.key: reverse_for(entry.address) for entry in wanted}
    context = forward.ForwardContext(ALIAS, envelope, reverse, own, to_owner, TRACE, AUTHSERV_ID)
    return headers.join(forward.forward(header, context), body)


def replied(
    data: bytes, contacts: tuple[NamedAddress, ...] = (CONTACT,), owners: frozenset[str] = OWNERS
) -> reply.ReplyResult:
    """The message as the contact gets it. A few other contacts are known too, without a name."""
    header, body = headers.split(data)
    known = {
        entry.address.key: NamedAddress(None, parse_loose(_REAL[entry.address.key]))
        for entry in reply.addressed(header)
        if entry.address.key in _REAL
    }
    known |= {reverse_for(contact.address).key: contact for contact in contacts}
    context = reply.ReplyContext(
        alias=ALIAS,
        name="Shop Keeper",
        contact=CONTACT,
        contacts=known,
        owners=owners,
        map_id=to_contact,
        reverse=_REAL.get,
    )
    return reply.reply(header, body, context)


_REAL = {
    reverse_for(parse_loose(real)).key: real
    for real in ("bob@example.com", "carol@example.org", "dave@example.net")
}
