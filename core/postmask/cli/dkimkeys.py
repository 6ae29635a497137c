"""A domain's DKIM keys: made, sealed, and named by the time and kind."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from postmask.auth.dkim import Algorithm, generate_key, public_record, seal_key
from postmask.keys import Keyring


@dataclass(frozen=True, slots=True)
class NewKey:
    """What the store keeps of a key."""

    selector: str
    algorithm: Algorithm
    sealed: bytes
    public: str


def make(keys: Keyring, domain: str, algorithms: Sequence[Algorithm], now: float) -> list[NewKey]:
    """New keys for a domain; selectors are pm<time> and, by kind, a letter: none is ever used again."""
    return [_make(keys, domain, algorithm, now) for algorithm in algorithms]


def _make(keys: Keyring, domain: str, algorithm: Algorithm, now: float) -> NewKey:
    time = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y%m%d%H%M%S")
    selector = f"pm{time}{'e' if algorithm is Algorithm.ED25519 else 'r'}"
    key = generate_key(algorithm)
    return NewKey(selector, algorithm, seal_key(keys, domain, selector, key), public_record(key))
