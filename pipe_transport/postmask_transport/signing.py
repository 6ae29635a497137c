"""The DKIM signature of what we send, with the keys of the alias's domain.

Keys are read from the directory at most every few seconds and kept as loaded objects; while the
directory can't answer, those that were read before go on signing.

DIAGNOSTICS
    UnknownNowError: no key was ever read and none can be read now; the caller defers, since an
    unsigned forward would be refused or marked. A domain that has no key is sent unsigned, and said so
    in the log whenever its keys are read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from postmask.auth.dkim import SigningKey, UnreadableKeyError, hash_body, open_key, sign
from postmask.clock import Clock
from postmask.directory.lookup import Absent, Unavailable, UnknownNowError
from postmask.directory.records import Directory, DkimKey
from postmask.keys import Keyring
from postmask.log import line
from postmask.message.headers import Headers

_log = logging.getLogger(__name__)
_FRESH = 10.0


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A key with the selector that it is published under."""

    selector: str
    key: SigningKey


@dataclass(frozen=True, slots=True)
class _Known:
    keys: tuple[_Loaded, ...]
    until: float


class DomainSigner:
    """Signs for any domain of ours. Shared by threads."""

    def __init__(self, directory: Directory, keys: Keyring, clock: Clock) -> None:
        self._directory = directory
        self._keys = keys
        self._clock = clock
        self._known: dict[str, _Known] = {}

    def sign(self, domain: str, headers: Headers, body: bytes) -> bytes:
        """The signature fields to put in front of the header, b"" if the domain has no key."""
        at = int(self._clock.now())
        loaded = self._loaded(domain)
        body_hash = hash_body(body) if loaded else None
        return b"".join(
            sign(headers, body, domain=domain, selector=one.selector, key=one.key, at=at, body_hash=body_hash)
            for one in loaded
        )

    def _loaded(self, domain: str) -> tuple[_Loaded, ...]:
        known = self._known.get(domain)
        now = self._clock.monotonic()
        if known is not None and now < known.until:
            return known.keys
        found = self._directory.dkim_keys(domain)
        if isinstance(found, Unavailable):
            if known is None:
                raise UnknownNowError(f"DKIM keys of {domain}: {found.reason}")
            return known.keys
        stored = () if isinstance(found, Absent) else found.value
        if not stored:
            line(_log, logging.WARNING, "unsigned", domain=domain, note="the domain has no DKIM key")
        loaded = tuple(_Loaded(key.selector, self._open(key)) for key in stored)
        self._known[domain] = _Known(loaded, now + _FRESH)
        return loaded

    def _open(self, key: DkimKey) -> SigningKey:
        try:
            return open_key(self._keys, key)
        except UnreadableKeyError as error:
            raise UnknownNowError(str(error)) from error
