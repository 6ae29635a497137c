"""The identity: the same after a re-queue, different for two submissions."""

from __future__ import annotations

import hashlib

import pytest

from postmask.message.dates import format as format_date
from postmask.message.dates import parse
from postmask.message.headers import split
from postmask.message.identity import (
    first_received,
    local_queue_id,
    message_digest,
    message_identity,
    received_at,
)

_UID = 106
_REQUEUED = (
    b"Received: by mx.alias.test (Postfix, from userid 106)\r\n"
    b"\tid 9A1B2C; Mon, 04 Jan 2027 10:05:00 +0000 (UTC)\r\n"
)
_SUBMITTED = _REQUEUED.replace(b"userid 106", b"userid 1000")
_MESSAGE = (
    b"Received: from mail.example.com (mail.example.com [192.0.2.1])\r\n"
    b"\tby mx.alias.test (Postfix) with ESMTP id 4XyZ\r\n"
    b"\tfor <shop@alias.test>; Mon, 04 Jan 2027 10:00:00 +0000 (UTC)\r\n"
    b"From: bob@example.com\r\n\r\nbody\r\n"
)


def test_digest_is_the_message_s() -> None:
    assert message_digest(_MESSAGE, _UID) == hashlib.sha256(_MESSAGE).digest()


@pytest.mark.parametrize("times", [1, 2, 5])
def test_a_requeue_does_not_change_it(times: int) -> None:
    assert message_digest(_REQUEUED * times + _MESSAGE, _UID) == message_digest(_MESSAGE, _UID)


def test_two_submissions_of_one_file_differ() -> None:
    one = _SUBMITTED + _MESSAGE
    other = _SUBMITTED.replace(b"9A1B2C", b"9A1B2D") + _MESSAGE
    assert len({message_digest(data, _UID) for data in (one, other, _MESSAGE)}) == 3
    assert message_digest(_REQUEUED + one, _UID) == message_digest(one, _UID)


def test_behind_the_first_other_field_it_counts() -> None:
    assert message_digest(_MESSAGE[:20] + _MESSAGE, _UID) != message_digest(_MESSAGE, _UID)
    inside = _SUBMITTED + _REQUEUED + _MESSAGE
    assert message_digest(inside, _UID) != message_digest(_SUBMITTED + _MESSAGE, _UID)


@pytest.mark.parametrize(
    "lookalike",
    [
        _REQUEUED.replace(b"userid 106", b"userid 1060"),
        _REQUEUED.replace(b"Received: by", b"Received: from x by"),
        _REQUEUED.replace(b"; Mon", b" Mon"),
        b"X-" + _REQUEUED,
    ],
)
def test_lookalikes_count(lookalike: bytes) -> None:
    assert message_digest(lookalike + _MESSAGE, _UID) != message_digest(_MESSAGE, _UID)


def test_what_pipe_prepends_may_stand_before() -> None:
    flags = b"Return-Path: <b@x.y>\r\nX-Original-To: shop@alias.test\r\nDelivered-To: shop@alias.test\r\n"
    assert message_digest(flags + _REQUEUED + _MESSAGE, _UID) == message_digest(flags + _MESSAGE, _UID)


@pytest.mark.parametrize("received", [_MESSAGE, _SUBMITTED + b"From: a@b.c\r\n\r\n"])
def test_a_received_field_tells_messages_apart_without_the_queue_id(received: bytes) -> None:
    one, other = (_identity(data, name) for data, name in _named(received))
    assert one == other == message_digest(received, _UID)


def test_without_one_the_queue_id_does() -> None:
    plain = b"From: a@b.c\r\n\r\nbody\r\n"
    found = [_identity(data, name) for data, name in _named(plain)]
    assert len({*found, _identity(plain, ""), message_digest(plain, _UID)}) == 4
    assert _identity(plain, "4One") == found[0]


def _identity(data: bytes, queue_id: str) -> bytes:
    return message_identity(data, first_received(split(data)[0], _UID), _UID, queue_id)


def _named(data: bytes) -> list[tuple[bytes, str]]:
    """The same data under two queue ids, the second time re-queued."""
    return [(data, "4One"), (_REQUEUED + data, "4Two")]


def test_what_pipe_prepends_belongs_to_it() -> None:
    one, other = (b"X-Original-To: %b@alias.test\r\n" % name + _MESSAGE for name in (b"shop", b"other"))
    assert len({message_digest(data, _UID) for data in (one, other, _MESSAGE)}) == 3


def test_a_certificate_s_name_holds_no_date() -> None:
    """Postfix writes a client's into the field (smtpd_tls_received_header)."""
    told = _MESSAGE.replace(b"\r\n\tby", b'\r\n\t(Client CN "a; Fri, 01 Jan 2021 00:00:00 +0000")\r\n\tby')
    headers, _ = split(told)
    assert received_at(first_received(headers, _UID)) == 1_799_056_800


def test_age_counts_from_the_first_received_that_is_left() -> None:
    headers, _ = split(_REQUEUED + _MESSAGE)
    assert received_at(first_received(headers, _UID)) == 1_799_056_800
    headers, _ = split(_SUBMITTED + _MESSAGE)
    assert received_at(first_received(headers, _UID)) == 1_799_057_100
    headers, _ = split(b"From: a@b.c\r\n\r\n")
    assert received_at(first_received(headers, _UID)) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"Mon, 04 Jan 2027 10:00:00 +0000", 1_799_056_800),
        (b"4 Jan 2027 11:00 +0100 (CET)", 1_799_056_800),
        (b"Mon, 04 Jan 2027 10:00:00 GMT", 1_799_056_800),
        (b"", None),
        (b"yesterday", None),
        (b"Mon, 99 Jan 99999999999 10:00:00 +0000", None),
        (b"\xff" * 1000, None),
    ],
)
def test_dates(value: bytes, expected: int | None) -> None:
    assert parse(value) == expected


def test_a_date_written_is_read_again() -> None:
    assert parse(format_date(1_799_056_800.7).encode()) == 1_799_056_800


@pytest.mark.parametrize(
    ("field", "queue_id"),
    [
        (b"Received: by mx.test (Postfix, from userid 0)\r\n\tid 4C7B1Fz; now", "4C7B1Fz"),
        (b"Received: by mx.test (Postfix)\r\n\tid ABC12; now", "ABC12"),
        (b"Received: from by (x [192.0.2.1])\r\n\tby mx.test (Postfix) with ESMTP id ABC12; now", ""),
        (b"Received: from a\r\n\tid FORGED; (x [192.0.2.1]) by mx.test (Postfix) id ABC12; now", ""),
        (b"Subject: no such field", ""),
    ],
)  # fmt: skip
def test_the_queue_id_of_what_has_no_client(field: bytes, queue_id: str) -> None:
    older = b"Received: by old.test (Postfix, from userid 0)\r\n\tid OLDER1; Sun, 1 Nov 2026 00:00:00 +0000"
    fields = [field, older] if queue_id or b"Received" in field else [field]
    assert local_queue_id(split(b"\r\n".join(fields) + b"\r\n\r\n")[0]) == queue_id
