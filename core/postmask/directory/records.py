"""The rows of the directory as plain values, free of any database session.

All addresses in them are in normal form (postmask.address.Address.key): local part lower-cased,
domain as lower-case A-labels.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Protocol

from postmask.directory.lookup import Lookup


class MailboxState(enum.StrEnum):
    """Only an active mailbox is sent mail; copies for the others are held, or wait."""

    UNCONFIRMED = "unconfirmed"
    ACTIVE = "active"
    PAUSED = "paused"

    @classmethod
    def of(cls, confirmed_at: float | None, paused_at: float | None) -> MailboxState:
        """What the two times say together."""
        if confirmed_at is None:
            return cls.UNCONFIRMED
        return cls.ACTIVE if paused_at is None else cls.PAUSED


class AliasState(enum.StrEnum):
    """Removed aliases aren't in the directory: they are absent."""

    ACTIVE = "active"
    DISABLED = "disabled"


class WhenDisabled(enum.StrEnum):
    """What a disabled alias answers: 550 5.2.1, 550 5.1.1, 450 4.2.1, or accepted and discarded."""

    REJECT = "reject"
    UNKNOWN = "unknown"
    DEFER = "defer"
    DISCARD = "discard"


class ContactRule(enum.StrEnum):
    """What the owner said of a contact."""

    NONE = "none"
    ALLOW = "allow"
    BLOCK = "block"


class BlockAction(enum.StrEnum):
    """What a block does with the message: 550 5.7.1, or accepted and discarded with a record."""

    REJECT = "reject"
    DISCARD = "discard"


class WhenUnscanned(enum.StrEnum):
    """What becomes of a message that no engine has judged: delivered with a word of it, held, or waits."""

    TAG = "tag"
    HOLD = "hold"
    DEFER = "defer"


class DmarcQuarantine(enum.StrEnum):
    """What becomes of a message that fails DMARC where the author's domain asks for quarantine."""

    MARK = "mark"
    HOLD = "hold"


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain of ours. postmaster: where mail to postmaster@ and abuse@ goes."""

    id: int
    name: str
    account_id: int
    postmaster: str


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A real mailbox of an account.

    senders: further From addresses that may reply as this mailbox. login: the SASL login that proves
    it. allow_spf: the owner accepts aligned SPF alone as proof of a reply. written: the address as its
    owner wrote it, in SMTP form.
    """

    id: int
    account_id: int
    address: str
    state: MailboxState
    login: str | None = None
    senders: tuple[str, ...] = ()
    allow_spf: bool = False
    written: str = ""

    @property
    def deliver_to(self) -> str:
        """Where its mail is sent: as it was written, for a local part's case is its host's affair."""
        return self.written or self.address

    @property
    def writers(self) -> tuple[str, ...]:
        """Keys of all From addresses that may reply as this mailbox."""
        return (self.address, *self.senders)


@dataclass(frozen=True, slots=True)
class Alias:
    """An alias with the mailboxes behind it. name: the display name that replies carry."""

    id: int
    account_id: int
    address: str
    domain: str
    state: AliasState
    when_disabled: WhenDisabled
    name: str | None
    mailboxes: tuple[Mailbox, ...]

    @property
    def writers(self) -> frozenset[str]:
        """Keys of all From addresses that may write as this alias."""
        return frozenset(key for mailbox in self.mailboxes for key in mailbox.writers)


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who wrote to an alias, or is written to through it. token: the current reverse alias's.

    told: False where this node alone knows it, as far as anybody can say.
    """

    alias_id: int
    address: str
    name: str | None
    rule: ContactRule
    token: str
    told: bool = True


@dataclass(frozen=True, slots=True)
class ReverseAlias:
    """What a reverse alias's token stands for. contact_written: the address as written, in SMTP form."""

    token: str
    alias: Alias
    contact: str
    contact_name: str | None
    contact_written: str = ""

    @property
    def deliver_to(self) -> str:
        """Where a reply is sent."""
        return self.contact_written or self.contact


@dataclass(frozen=True, slots=True)
class SenderRule:
    """A block that matched an envelope sender; scope and pattern are for the record."""

    action: BlockAction
    scope: str
    pattern: str


CONTACT_SCOPE = "contact"
SCOPES = (CONTACT_SCOPE, "alias", "account", "domain", "global")
"""What a block or a policy may be for, the narrowest first."""


@dataclass(frozen=True, slots=True)
class SpamPolicy:
    """What the settings of the spam check are for one alias, account or domain; None: as elsewhere.

    scope: "alias", "account" or "domain". All else as the settings of the same names; infinity is never,
    and "" no prefix.
    """

    scope: str
    mark: float | None = None
    hold: float | None = None
    discard: float | None = None
    refuse: float | None = None
    hold_replies: float | None = None
    when_unscanned: str | None = None
    dmarc_quarantine: str | None = None
    subject_prefix: str | None = None


POLICY_NAMES = tuple(field.name for field in fields(SpamPolicy) if field.name != "scope")
"""Of what a policy may say, as the settings are called."""


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A domain's signing key. sealed: the private key, PKCS #8 DER, sealed (postmask.keys)."""

    domain: str
    selector: str
    algorithm: str
    sealed: bytes


class Directory(Protocol):
    """What may be asked. Every method answers within the directory's own deadline and never raises."""

    def domain(self, name: str) -> Lookup[Domain]:
        """The domain of exactly this name."""

    def alias(self, address: str) -> Lookup[Alias]:
        """The alias of exactly this address (no detail)."""

    def alias_by_id(self, alias_id: int) -> Lookup[Alias]:
        """The alias with this id."""

    def reverse_alias(self, token: str) -> Lookup[ReverseAlias]:
        """What a reverse alias's 24 characters stand for.

        Gone where its alias was removed; Absent where nobody here has heard of it yet.
        """

    def contact(self, alias_id: int, address: str) -> Lookup[Contact]:
        """The contact of an alias, with its current reverse alias."""

    def sender_rule(self, sender: str, alias: Alias | None, domain: Domain) -> Lookup[SenderRule]:
        """The narrowest block that matches this envelope sender: alias, account, domain, global.

        A contact that is blocked counts as a rule of scope "contact", one that is allowed overrules
        every block (Absent).
        """

    def spam_policies(self, alias: Alias) -> Lookup[tuple[SpamPolicy, ...]]:
        """The alias's own, its account's, its domain's, in this order, as far as there are any."""

    def account_addresses(self, account_id: int) -> Lookup[tuple[str, ...]]:
        """All mailboxes and authorised senders of an account: what must not leak."""

    def dkim_keys(self, domain: str) -> Lookup[tuple[DkimKey, ...]]:
        """The domain's signing keys, RSA first."""

    def replay_mark(self, mark: str, token: str) -> Lookup[bytes]:
        """The ledger key of the message for which a proof was used, at the reverse alias of this token."""
