"""What the operations show: plain values, keys named as in the models, fit for JSON.

Addresses are in normal form; `written` is the form for SMTP. Times are seconds since the epoch, UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AccountView:
    """state: "active" or "disabled"."""

    id: int
    name: str
    state: str
    created: float
    disabled_at: float | None


@dataclass(frozen=True, slots=True)
class DkimKeyView:
    """public: the TXT record's value, unsplit. state: "active" or "retired"."""

    domain: str
    selector: str
    algorithm: str
    public: str
    state: str
    created: float


@dataclass(frozen=True, slots=True)
class DomainView:
    """account: its name. aliases: how many there are, removed ones left out."""

    id: int
    name: str
    account: str
    postmaster: str
    created: float
    aliases: int
    dkim_keys: tuple[DkimKeyView, ...]

    @property
    def published_keys(self) -> list[tuple[str, str]]:
        """Selector and TXT value of the keys that sign."""
        return [(key.selector, key.public) for key in self.dkim_keys if key.state == "active"]


@dataclass(frozen=True, slots=True)
class MailboxView:
    """state: "unconfirmed", "active" or "paused". aliases: how many deliver to it."""

    id: int
    account: str
    address: str
    written: str
    state: str
    login: str | None
    allow_spf: bool
    senders: tuple[str, ...]
    created: float
    confirmed_at: float | None
    paused_at: float | None
    pause_reason: str | None
    aliases: int


@dataclass(frozen=True, slots=True)
class AliasView:
    """state: "active", "disabled" or "removed". mailboxes: addresses. counters: events by kind.

    account_state: while it is "disabled" the alias answers as if it were. last_at: when anything was last
    counted for it.
    """

    id: int
    account: str
    account_state: str
    address: str
    domain: str
    state: str
    when_disabled: str
    name: str | None
    note: str | None
    mailboxes: tuple[str, ...]
    created: float
    removed_at: float | None
    counters: Mapping[str, int]
    last_at: float | None


@dataclass(frozen=True, slots=True)
class ContactView:
    """reverse_alias: the whole current address to write to. rule: "none", "allow" or "block"."""

    id: int
    alias: str
    address: str
    written: str
    name: str | None
    rule: str
    block_action: str
    token: str
    reverse_alias: str
    created: float


@dataclass(frozen=True, slots=True)
class RuleView:
    """target: the alias's address, the account's or domain's name; None for a global rule."""

    id: int
    scope: str
    target: str | None
    pattern: str
    action: str
    created: float


@dataclass(frozen=True, slots=True)
class EventView:
    """alias, mailbox: addresses, None where there is none (any more)."""

    id: str
    node: str
    at: float
    account: str | None
    alias: str | None
    kind: str
    contact: str | None
    mailbox: str | None
    status: str | None
    reason: str | None
    queue_id: str | None


@dataclass(frozen=True, slots=True)
class BounceView:
    """kind: what had been sent ("forward", "reply", "notice"). action, status: RFC 3464."""

    id: str
    node: str
    at: float
    alias: str | None
    mailbox: str | None
    contact_token: str
    kind: str
    action: str | None
    status: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class NodeView:
    """See models.Node."""

    name: str
    last_seen: float
    version: str | None
    schema: str
    keys: str | None
    replica_at: float | None
    drained_at: float | None
    drained_by: str | None
    waiting: int | None
    held: int | None
    order_at: float | None
    order_by: str | None
    order_drain: bool | None
    done_at: float | None

    @property
    def ordered(self) -> bool:
        """Whether there is an order that it hasn't carried out yet, as far as it has said."""
        return self.order_at is not None and (self.done_at or 0.0) < self.order_at
