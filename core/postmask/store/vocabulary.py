"""The words that the tables' columns may hold, beside those of postmask.directory.records."""

from __future__ import annotations

import enum


class AliasRowState(enum.StrEnum):
    """The states of an alias's row: the directory's, and removed, from which it can be restored."""

    ACTIVE = "active"
    DISABLED = "disabled"
    REMOVED = "removed"


class RuleScope(enum.StrEnum):
    """Whom a sender rule protects, the narrowest first."""

    ALIAS = "alias"
    ACCOUNT = "account"
    DOMAIN = "domain"
    GLOBAL = "global"


class KeyState(enum.StrEnum):
    """An active DKIM key signs; a retired one is kept while its record is still published."""

    ACTIVE = "active"
    RETIRED = "retired"


class Algorithm(enum.StrEnum):
    """RFC 6376 §3.3.1 and RFC 8463."""

    RSA = "rsa"
    ED25519 = "ed25519"


class EventKind(enum.StrEnum):
    """What became of a message, as its owner may see it."""

    FORWARDED = "forwarded"
    REPLIED = "replied"
    REFUSED = "refused"
    HELD = "held"
    DISCARDED = "discarded"
    BOUNCED = "bounced"
    DEFERRED = "deferred"


class BounceOrigin(enum.StrEnum):
    """What had been sent when the bounce came."""

    FORWARD = "forward"
    REPLY = "reply"
    NOTICE = "notice"


class Phase(enum.StrEnum):
    """Whether a database is the one in use: arriving, it is a copy of that; moved, it was until then."""

    CURRENT = "current"
    ARRIVING = "arriving"
    MOVED = "moved"
