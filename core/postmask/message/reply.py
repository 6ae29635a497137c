"""A reply on its way from the owner to the contact: nothing in it names the mailbox.

The header is built anew: From is the alias, reverse aliases in To and Cc become the contacts' real
addresses, the owner's own addresses become the alias, Message-IDs are opened or wrapped, the prefix of a
subject that was called spam goes, and of the other fields only those on an allow-list go out. Then the
leak check searches all of it, also for names of parts that end in the owner's domain, as Thunderbird gives
them to pictures.

DIAGNOSTICS
    reply never raises, whatever the message holds; what `map_id` and `reverse` raise goes through.
    `findings` says what the leak check could not replace: with any finding the message must not go out.

STANDARDS
    RFC 5322 §3.6, RFC 8098 §2.1 (receipts).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import islice

from postmask.address import Address, base_key, parse_loose
from postmask.message import leak, msgid
from postmask.message.finder import ReverseAliases, has_reverse_shape
from postmask.message.forward import shown
from postmask.message.headers import Field, Headers, fold, tidy
from postmask.message.lines import fold_long
from postmask.message.mailboxes import NamedAddress, format_list, parse_fields
from postmask.message.mime import walk
from postmask.message.subject import unprefixed

ALLOWED = frozenset({
    b"date", b"mime-version", b"content-type", b"content-transfer-encoding",
    b"content-disposition", b"content-language", b"content-description", b"content-id",
    b"importance", b"priority", b"x-priority", b"x-msmail-priority", b"sensitivity",
    b"auto-submitted", b"precedence", b"thread-index",
})  # fmt: skip
"""Fields that go out as they are, each once."""

_MOST_PART_NAMES = 50
"""Each is searched for in the whole message."""

_MASKED = re.compile(r"\(\S+ at \S+\)")
_QUOTES = " '"
"""Outlook puts names that look like addresses into single quotes."""

_RECIPIENTS = (b"to", b"cc")
_IDS = frozenset({b"message-id", b"in-reply-to", b"references"})
_RECEIPTS = frozenset({b"disposition-notification-to", b"return-receipt-to"})


@dataclass(frozen=True, slots=True)
class ReplyContext:
    """What a rewriting needs to know.

    alias, name: what From shall say.
    contact:     the contact that this copy goes to.
    contacts:    key of a reverse alias → the contact's real address, for those in To and Cc.
    owners:      keys of all the account's mailboxes and authorised senders.
    map_id:      a Message-ID as the contact may see it (msgid.carry).
    reverse:     finds the contact behind other reverse aliases that are quoted in the text.
    subject_prefix: what the subjects of marked copies begin with; "" for nothing.
    """

    alias: Address
    name: str | None
    contact: NamedAddress
    contacts: Mapping[str, NamedAddress]
    owners: Set[str]
    map_id: Callable[[bytes], bytes]
    reverse: ReverseAliases | None = None
    subject_prefix: str = ""


@dataclass(frozen=True, slots=True)
class ReplyResult:
    """What goes out. replaced: places that the leak check cleaned; findings: empty, or it stays here."""

    headers: Headers
    body: bytes
    replaced: int
    findings: tuple[str, ...]


def addressed(headers: Headers) -> tuple[NamedAddress, ...]:
    """All addresses in To and Cc: the caller finds out which of them are reverse aliases of ours."""
    return tuple(entry for found in parse_fields(headers, _RECIPIENTS).values() for entry in found.entries)


def reply(headers: Headers, body: bytes, context: ReplyContext) -> ReplyResult:
    """The message as the contact gets it."""
    built = _Rewriting(headers, context).run()
    secrets: dict[str, str | None] = {owner: str(context.alias) for owner in context.owners}
    for key, contact in context.contacts.items():
        secrets[key] = str(_visible(contact.address, context))
    for name, new in islice(_part_names(headers, body, context), _MOST_PART_NAMES):
        secrets.setdefault(name.lower(), new)
    cleaned = leak.check(built, body, secrets, _reverse(context))
    return ReplyResult(cleaned.headers, fold_long(cleaned.body), cleaned.replaced, cleaned.unreplaceable)


def _part_names(headers: Headers, body: bytes, context: ReplyContext) -> Iterator[tuple[str, str]]:
    """Content-IDs in the owner's domain, and what they become."""
    domains = {owner.rpartition("@")[2] for owner in context.owners}
    for part in walk(headers, body).parts:
        named = part.headers.get("content-id")
        local, _, domain = named.text.strip("<> ").rpartition("@") if named else ("", "", "")
        if local and domain.lower() in domains:
            yield f"{local}@{domain}", f"{local}@{context.alias.domain}"


def _visible(address: Address, context: ReplyContext) -> Address:
    """The address, or the alias where it is the owner's own: people try an alias by writing to it."""
    own = address.key in context.owners or base_key(address) in context.owners
    return context.alias if own else address


def _reverse(context: ReplyContext) -> ReverseAliases | None:
    """The reverse aliases of the context, none of which stands for the owner."""
    known = context.reverse
    if known is None:
        return None

    def real(reverse_alias: str) -> str | None:
        found = known(reverse_alias)
        return None if found is None else str(_visible(parse_loose(found), context))

    return real


@dataclass(slots=True)
class _Rewriting:
    """One run. seen: keys of the fields that have gone out."""

    headers: Headers
    context: ReplyContext
    seen: set[bytes] = field(default_factory=set)

    def run(self) -> Headers:
        fields = [new for old in self.headers.fields if (new := self._field(old))]
        sender = format_list("From", [NamedAddress(self.context.name, self.context.alias)])
        added = [sender]
        if not any(one.key == b"to" for one in fields):
            added.append(format_list("To", [self.context.contact]))
        if b"message-id" not in self.seen:
            added.append(fold("Message-ID", [self.context.map_id(msgid.substitute(self.headers))]))
        return Headers(added + fields)

    def _field(self, old: Field) -> Field | None:
        key = old.key
        if key in self.seen:
            return None
        new = self._new(old, key)
        if new:
            self.seen.add(key)
        return new

    def _new(self, old: Field, key: bytes) -> Field | None:
        if key == b"subject":
            return tidy(unprefixed(old, self.context.subject_prefix))
        if key in ALLOWED:
            return tidy(old)
        if key in _RECIPIENTS:
            mapped = self._mapped(key)
            return format_list(old.name, mapped) if mapped else None
        if key in _IDS:
            return msgid.map_field(old.name, old.value, self.context.map_id)
        if key in _RECEIPTS:
            return format_list(old.name, [NamedAddress(None, self.context.alias)])
        return None

    def _mapped(self, key: bytes) -> list[NamedAddress]:
        """Each address once, as the contact may see it; reverse aliases of others go."""
        found: dict[str, NamedAddress] = {}
        for entry in parse_fields(self.headers, (key,))[key].entries:
            if new := self._entry(entry):
                found.setdefault(new.address.key, new)
        return list(found.values())

    def _entry(self, entry: NamedAddress) -> NamedAddress | None:
        contact = self.context.contacts.get(entry.address.key)
        if contact:
            entry = NamedAddress(_unmasked(entry.name, contact), contact.address)
        elif has_reverse_shape(entry.address) and entry.address.domain == self.context.alias.domain:
            return None
        if _visible(entry.address, self.context) == self.context.alias:
            return NamedAddress(self.context.name, self.context.alias)
        return entry


def _unmasked(name: str | None, contact: NamedAddress) -> str | None:
    """The name behind which forward put "(bob at example.com)", without that: several people may write from
    one address. Another name, an address book's say, the contact needn't learn where his own is known."""
    masked = shown(None, contact.address)
    written = (name or "").strip(_QUOTES)
    if written == shown(contact.name, contact.address):
        return contact.name
    plain = written.removesuffix(f"({masked})").strip(_QUOTES)
    unusable = plain in ("", masked) or _MASKED.search(plain)
    return contact.name if unusable or (contact.name and plain == written) else plain
