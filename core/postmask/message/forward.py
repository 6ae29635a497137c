"""A message on its way to the owner, in masked mode: the header rewritten, the body not looked at.

Every address that an answer could go to becomes a reverse alias, so that "reply" and "reply to all"
go through the alias. Message-IDs are wrapped. Fields that belong to the former journey go. All others
keep their octets, unless some mail server would change them on the way (headers.tidy).

The traces of aliases that a message went through before stay, behind our own: by them each service sees that
one came round, through whatever others.

First `wanted` says which addresses need a reverse alias, the sender's first; the caller finds or makes
those; then `forward` rewrites.

DIAGNOSTICS
    Neither function raises, whatever the message holds; what `own` and `wrap_id` raise goes through.
    Addresses without a reverse alias are left out and counted in X-Postmask-Omitted. Without any usable
    sender From names the alias itself.

STANDARDS
    RFC 5322 §3.6, RFC 2369 (List- fields), RFC 6068 (mailto), RFC 8098 (read receipts).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from postmask.address import Address
from postmask.message import authres, mailto, msgid, trace
from postmask.message.headers import Field, Headers, fold, make_field, tidy
from postmask.message.mailboxes import (
    AddressList,
    NamedAddress,
    clean_name,
    format_list,
    parse_fields,
    parse_list,
)
from postmask.message.subject import prefixed

WANTED_LIMIT = 50
"""Addresses of one message that get a reverse alias."""

TRACES_KEPT = 30
"""Of earlier aliases, here and elsewhere: so many are passed in no loop that Postfix lets go on."""

OMITTED = "X-Postmask-Omitted"

_ADDRESS_FIELDS = (
    b"reply-to",
    b"to",
    b"cc",
    b"mail-followup-to",
    b"mail-reply-to",
    b"mail-copies-to",
    b"disposition-notification-to",
    b"return-receipt-to",
    b"x-confirm-reading-to",
)
_ID_FIELDS = frozenset({b"message-id", b"in-reply-to", b"references"})
_ONCE = frozenset({
    b"from", b"subject", b"date", b"mime-version", b"content-type", b"content-transfer-encoding",
    *_ADDRESS_FIELDS, *_ID_FIELDS,
})  # fmt: skip
"""Fields that may stand once (RFC 5322 §3.6): big providers refuse mail in which one stands twice."""

_REMOVED = frozenset({
    b"", b"sender", b"return-path", b"delivered-to", b"bcc", b"dkim-signature", b"domainkey-signature",
    b"errors-to", b"apparently-to", b"envelope-to", b"x-envelope-to", b"x-original-to", b"original-to",
})  # fmt: skip
_REMOVED_PREFIXES = (b"x-postmask-", b"resent-")
_TRACE = trace.FIELD.lower().encode()

_SHOWN_NAME = 80
_SHOWN_ADDRESS = 80


@dataclass(frozen=True, slots=True)
class ForwardContext:
    """What a rewriting needs to know.

    alias:   the alias that the message is for.
    sender:  the envelope sender, for a From without an address; None for the null sender.
    reverse: address key → reverse alias, for all that `wanted` named.
    own:     whether an address is another alias of the same owner, or a reverse alias, and stays as it is.
    wrap_id: a Message-ID as the owner may see it (msgid.carry).
    trace:   the value for X-Postmask-Trace.
    authserv_id: whose Authentication-Results are ours: those that come in are forged.
    notes:   fields that tell what was found out about the message.
    subject_prefix: what the subject is to begin with; "" for as it is.
    """

    alias: Address
    sender: NamedAddress | None
    reverse: Mapping[str, Address]
    own: Callable[[Address], bool]
    wrap_id: Callable[[bytes], bytes]
    trace: bytes
    authserv_id: str
    notes: Sequence[Field] = ()
    subject_prefix: str = ""


def author(headers: Headers, sender: NamedAddress | None) -> NamedAddress | None:
    """Who wrote: the first usable address in From, else the envelope sender under From's name."""
    name = None
    for from_field in headers.get_all("from")[:10]:
        found = parse_list(from_field.value)
        if found.entries:
            return found.entries[0]
        name = name or next(iter(found.junk), None)
    return NamedAddress(name or sender.name, sender.address) if sender else None


def wanted(
    headers: Headers,
    alias: Address,
    own: Callable[[Address], bool],
    sender: NamedAddress | None,
    limit: int = WANTED_LIMIT,
) -> tuple[NamedAddress, ...]:
    """The addresses that need a reverse alias, each once, the sender's first, at most `limit`."""
    found: dict[str, NamedAddress] = {}
    if first := author(headers, sender):
        found[first.address.key] = first
    for entry in _all_entries(headers):
        if len(found) >= limit:
            break
        key = entry.address.key
        if key not in found and key != alias.key and not own(entry.address):
            found[key] = entry
    return tuple(found.values())


def forward(headers: Headers, context: ForwardContext) -> Headers:
    """The header as the owner's mailbox gets it."""
    return _Rewriting(headers, context).run()


def shown(name: str | None, address: Address) -> str:
    """The display name of a masked address: "Name (bob at example.com)", ASCII in the parentheses."""
    local = address.local.encode("ascii", "backslashreplace").decode("ascii")
    at = clean_name(f"{local} at {address.domain}")
    if len(at) > _SHOWN_ADDRESS:
        at = at[: _SHOWN_ADDRESS - 3] + "..."
    plain = clean_name(name or "")[:_SHOWN_NAME].strip()
    return at if plain.lower() in ("", at.lower()) else f"{plain} ({at})"


def _all_entries(headers: Headers) -> Iterator[NamedAddress]:
    for found in parse_fields(headers, _ADDRESS_FIELDS).values():
        yield from found.entries
    for one in headers.fields:
        if one.key.startswith(b"list-"):
            for address in mailto.targets(one.value):
                yield NamedAddress(None, address)


@dataclass(slots=True)
class _Rewriting:
    """One run.

    seen: keys of fields that may stand once and did. omitted: addresses left out. results: octets of
    Authentication-Results so far. traces: how many of them so far.
    """

    headers: Headers
    context: ForwardContext
    lists: dict[bytes, AddressList] = field(default_factory=dict)
    seen: set[bytes] = field(default_factory=set)
    omitted: int = 0
    results: int = 0
    traces: int = 0

    def run(self) -> Headers:
        self.lists = parse_fields(self.headers, _ADDRESS_FIELDS)
        kept = [new for old in self.headers.fields if (new := self._field(old))]
        added = [*self.context.notes, make_field(trace.FIELD, self.context.trace.decode("ascii"))]
        complete = all(found.complete for found in self.lists.values())
        if self.omitted or not complete:
            added.append(make_field(OMITTED, f"{'' if complete else 'more than '}{self.omitted} addresses"))
        if b"from" not in self.seen:
            kept.append(self._from())
        if b"message-id" not in self.seen:
            kept.append(self._message_id())
        if b"subject" not in self.seen and self.context.subject_prefix:
            kept.append(prefixed(None, self.context.subject_prefix))
        return Headers(added + kept)

    def _field(self, old: Field) -> Field | None:
        key = old.key
        if key == _TRACE:
            self.traces += 1
            return tidy(old) if self.traces <= TRACES_KEPT else None
        if key in _REMOVED or key.startswith(_REMOVED_PREFIXES) or key in self.seen:
            return None
        if key == authres.KEY and self._is_claim(old):
            return None
        if key in _ONCE:
            self.seen.add(key)
        if key == b"from":
            return self._from()
        if key == b"subject" and self.context.subject_prefix:
            return prefixed(tidy(old), self.context.subject_prefix)
        if key in _ADDRESS_FIELDS:
            return self._addresses(old)
        if key in _ID_FIELDS:
            mapped = msgid.map_field(old.name, old.value, self.context.wrap_id)
            return self._message_id() if mapped is None and key == b"message-id" else mapped
        if key.startswith(b"list-"):
            return mailto.map_field(old, self._reverse)
        return tidy(old)

    def _is_claim(self, results: Field) -> bool:
        """Whether Authentication-Results might be taken for ours; so might what isn't read any more."""
        self.results += len(results.raw)
        return self.results > authres.READ_LIMIT or authres.claims_to_be(results, self.context.authserv_id)

    def _from(self) -> Field:
        found = author(self.headers, self.context.sender)
        if found is None:
            return format_list("From", [NamedAddress("Unknown sender", self.context.alias)])
        address = self.context.reverse.get(found.address.key, self.context.alias)
        return format_list("From", [NamedAddress(shown(found.name, found.address), address)])

    def _addresses(self, old: Field) -> Field | None:
        found = self.lists.get(old.key, AddressList(()))
        kept = [mapped for entry in found.entries if (mapped := self._entry(entry))]
        self.omitted += len(found.entries) - len(kept)
        single = sum(one.key == old.key for one in self.headers.fields) == 1
        # What another program might read as an address more must not stay, wherever it stands.
        plain = old.text.count("@") == len(found.entries)
        if single and plain and kept == list(found.entries) != [] and not found.junk:
            return tidy(old)
        if kept:
            return format_list(old.name, kept)
        return make_field(old.name, "undisclosed-recipients:;") if old.key == b"to" else None

    def _entry(self, entry: NamedAddress) -> NamedAddress | None:
        if entry.address.key == self.context.alias.key or self.context.own(entry.address):
            return entry
        reverse = self._reverse(entry.address)
        return NamedAddress(shown(entry.name, entry.address), reverse) if reverse else None

    def _reverse(self, address: Address) -> Address | None:
        return self.context.reverse.get(address.key)

    def _message_id(self) -> Field:
        return fold("Message-ID", [self.context.wrap_id(msgid.substitute(self.headers))])
