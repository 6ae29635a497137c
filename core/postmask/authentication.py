"""What was found out about who sent a message: the results of SPF, DKIM and DMARC, as values.

They are made in postmask.auth, written into mail and read there in postmask.message.

STANDARDS
    RFC 7208 §2.6, RFC 6376, RFC 9989 (the names of results), RFC 8601 §2.7.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Spf(enum.StrEnum):
    """The results of RFC 7208 §2.6."""

    PASS = "pass"  # noqa: S105 - a result, no secret
    FAIL = "fail"
    SOFTFAIL = "softfail"
    NEUTRAL = "neutral"
    NONE = "none"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


@dataclass(frozen=True, slots=True)
class SpfResult:
    """result: for this domain (lower-case), the envelope sender's, or HELO's with a null sender."""

    result: Spf
    domain: str


@dataclass(frozen=True, slots=True)
class DkimResult:
    """What became of one signature.

    domain, selector: d= and s=, empty where the field can't be read.
    temporary:  it didn't pass, but might when asked again: DNS didn't answer, or the time was up.
    signed:     h= in lower case, repetitions included.
    has_length: l= is there, so text may have been appended.
    algorithm:  "rsa" or "ed25519".
    key_bits:   0 where no key was seen; 256 for Ed25519.
    b:          the signature's octets, so that spacing makes no difference.
    at, expires: t= and x=, seconds since the epoch.
    reason:     why it didn't pass.
    """

    domain: str = ""
    selector: str = ""
    passed: bool = False
    temporary: bool = False
    signed: tuple[str, ...] = ()
    has_length: bool = False
    algorithm: str = ""
    key_bits: int = 0
    b: bytes = b""
    at: int | None = None
    expires: int | None = None
    reason: str = ""


class Dmarc(enum.StrEnum):
    """The results of RFC 9989.

    none: the author's domain publishes no policy. permerror: it can't be said which domain's policy
    would count, or that is faulty. temperror: DNS didn't answer.
    """

    PASS = "pass"  # noqa: S105 - a result, no secret
    FAIL = "fail"
    NONE = "none"
    TEMPERROR = "temperror"
    PERMERROR = "permerror"


class Policy(enum.StrEnum):
    """What a domain's owner asks for with mail that fails; in the order of severity."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class DmarcResult:
    """What DMARC says of a message.

    policy:  to be applied to it: anything but NONE only where the result is FAIL.
    domain:  the author's, from the From field; empty where it has not exactly one.
    record_domain: where the policy was found.
    by_spf, by_dkim: with PASS, what passed and is aligned.
    reason:  for the log.
    """

    result: Dmarc
    policy: Policy = Policy.NONE
    domain: str = ""
    record_domain: str = ""
    by_spf: bool = False
    by_dkim: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Authentication:
    """All of it. spf: for the envelope sender; helo: for what the client called itself."""

    spf: SpfResult
    helo: SpfResult
    dkim: tuple[DkimResult, ...]
    dmarc: DmarcResult
