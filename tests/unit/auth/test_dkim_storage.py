"""DKIM keys at rest: sealed, and of use for their own domain and selector only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from postmask.auth import dkim
from postmask.directory.records import DkimKey
from postmask.keys import Keyring, Secret

OLD = Secret(1, "2023-11-14", b"a" * 32)
NEW = Secret(2, "2024-11-14", b"b" * 32)


@pytest.fixture(scope="module", params=list(dkim.Algorithm))
def key(request) -> dkim.SigningKey:
    return dkim.generate_key(request.param)


@pytest.fixture
def record(key) -> DkimKey:
    sealed = dkim.seal_key(Keyring([OLD]), "alias.test", "s1", key)
    return DkimKey(domain="alias.test", selector="s1", algorithm=key.algorithm, sealed=sealed)


def test_opens_to_the_same_key(key, record):
    assert dkim.public_record(dkim.open_key(Keyring([OLD]), record)) == dkim.public_record(key)
    assert key.to_pkcs8() not in record.sealed


def test_opens_after_a_rotation(key, record):
    assert dkim.public_record(dkim.open_key(Keyring([OLD, NEW]), record)) == dkim.public_record(key)


@pytest.mark.parametrize(
    "change", [{"domain": "other.test"}, {"selector": "s2"}, {"sealed": b"\x01" + b"x" * 99}]
)
def test_is_of_no_use_elsewhere(record, change):
    with pytest.raises(dkim.UnreadableKeyError, match="sealed with other master secrets"):
        dkim.open_key(Keyring([OLD]), replace(record, **change))


def test_other_secrets_cannot_open_it(record):
    with pytest.raises(dkim.UnreadableKeyError, match=r"s1\._domainkey\.alias\.test"):
        dkim.open_key(Keyring([NEW]), record)
