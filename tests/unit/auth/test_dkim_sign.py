"""Signatures of ours, judged by three verifiers that aren't ours."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dkim_judges
from postmask.auth import dkim
from postmask.auth.dkim.keys import RSA_BITS
from postmask.message.headers import split

AT = 1_700_000_000
NAME = "s1._domainkey.alias.test"
HEADERS = (
    b"Received: from somewhere\r\n"
    b"From: =?utf-8?q?B=C3=B6b?= (bob at example.com) <bob-at-example-com.abc@alias.test>\r\n"
    b"To: Shop <shop@alias.test>\r\n"
    b"Subject: folded\r\n\tonce,   and\r\n  twice\r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"Message-ID: <a@alias.test>\r\n"
    b"MIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\n"
    b"List-Unsubscribe: <mailto:off@alias.test>\r\n"
)
BODIES = {
    "empty": b"",
    "one line": b"hello\r\n",
    "no final newline": b"hello",
    "blanks and empty lines at the end": b"a  b \t\r\n \r\n\r\n\r\n",
    "only empty lines": b"\r\n\r\n\r\n",
    "8-bit": "Grüße\r\n".encode(),
    "dot lines": b".\r\n..\r\n.x\r\n",
    "control characters": bytes(c for c in range(1, 256) if c not in (10, 13)) + b"\r\n",
    "lines of 998 octets": (b"x" * 998 + b"\r\n") * 3,
}


@pytest.fixture(scope="module")
def rsa_key() -> dkim.SigningKey:
    return dkim.generate_key()


@pytest.fixture(scope="module")
def ed25519_key() -> dkim.SigningKey:
    return dkim.generate_key(dkim.Algorithm.ED25519)


def sign(headers: bytes, body: bytes, key: dkim.SigningKey) -> bytes:
    fields, _ = split(headers + b"\r\n")
    return dkim.sign(fields, body, domain="alias.test", selector="s1", key=key, at=AT)


def signed(headers: bytes, body: bytes, key: dkim.SigningKey) -> bytes:
    return sign(headers, body, key) + headers + b"\r\n" + body


def tag(field: bytes, name: bytes) -> bytes:
    match = re.search(rb"[;\s]" + name + rb"=([^;]*)", field)
    assert match is not None
    return re.sub(rb"\s+", b"", match[1])


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
@pytest.mark.parametrize("judge", [dkim_judges.dkimpy, dkim_judges.opendkim, dkim_judges.mail_dkim])
def test_rsa_is_accepted_by_every_judge(rsa_key, judge, body):
    message = signed(HEADERS, body, rsa_key)
    transported = message if message.endswith(b"\r\n") else message + b"\r\n"
    assert judge(transported, {NAME: dkim.public_record(rsa_key)})


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_ed25519_is_accepted_by_opendkim(ed25519_key, body):
    message = signed(HEADERS, body, ed25519_key)
    assert dkim_judges.opendkim(message, {NAME: dkim.public_record(ed25519_key)})


@pytest.mark.parametrize("judge", [dkim_judges.dkimpy, dkim_judges.opendkim, dkim_judges.mail_dkim])
@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.replace(b"Subject: folded", b"Subject: forged"),
        lambda m: m.replace(b"hello", b"hallo"),
        lambda m: m + b"appended\r\n",
        lambda m: m.replace(b"\r\nFrom:", b"\r\nFrom: eve@example.net\r\nFrom:"),
        lambda m: m.replace(b"\r\nTo:", b"\r\nTo: eve@example.net\r\nTo:"),
        lambda m: m.replace(b"\r\nFrom:", b"\r\nReply-To: eve@example.net\r\nFrom:"),
    ],
    ids=["subject", "body", "appended", "second From", "second To", "Reply-To added"],
)
def test_a_changed_message_is_refused_by_every_judge(rsa_key, judge, change):
    message = change(signed(HEADERS, b"hello\r\n", rsa_key))
    assert not judge(message, {NAME: dkim.public_record(rsa_key)})


def test_what_is_signed(rsa_key):
    field = sign(HEADERS, b"hello\r\n", rsa_key)
    names = tag(field, b"h").split(b":")
    assert names.count(b"from") == 2
    assert names.count(b"to") == 2
    assert names.count(b"cc") == 0
    assert names.count(b"reply-to") == 1
    assert b"list-unsubscribe" in names
    assert b"received" not in names
    assert tag(field, b"t") == str(AT).encode()
    assert tag(field, b"c") == b"relaxed/simple"
    assert not re.search(rb"[;\s]l=", field)


@pytest.mark.parametrize(
    "name",
    [
        "From", "Sender", "Reply-To", "To", "Cc", "Subject", "Date", "Message-ID", "In-Reply-To",
        "References", "MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-ID",
        "Content-Description", "List-Id", "List-Help", "List-Unsubscribe", "List-Unsubscribe-Post",
        "List-Subscribe", "List-Post", "List-Owner", "List-Archive", "Autocrypt",
    ],
)  # fmt: skip
def test_what_is_there_can_neither_be_changed_nor_added_once_more(ed25519_key, name):
    """RFC 6376 §5.4.1. With another Content-Type the same body says something else."""
    headers = HEADERS if f"\r\n{name}:".encode() in HEADERS else HEADERS + f"{name}: x\r\n".encode()
    names = tag(sign(headers, b"hello\r\n", ed25519_key), b"h").split(b":")
    assert names.count(name.lower().encode()) == 2


def test_lines_are_short_and_end_with_crlf(rsa_key):
    field = sign(HEADERS, b"hello\r\n", rsa_key)
    assert field.startswith(b"DKIM-Signature: ")
    assert field.endswith(b"\r\n")
    lines = field[:-2].split(b"\r\n")
    assert all(len(line) <= 78 for line in lines)
    assert all(line.startswith(b" ") and line.strip() for line in lines[1:])


@pytest.mark.parametrize("judge", [dkim_judges.opendkim, dkim_judges.mail_dkim])
def test_names_longer_than_a_line_stay_whole(rsa_key, judge):
    domain, selector = f"{'a' * 40}.{'b' * 40}.test", "s" * 63
    fields, _ = split(HEADERS + b"\r\n")
    field = dkim.sign(fields, b"hello\r\n", domain=domain, selector=selector, key=rsa_key, at=AT)
    record = {f"{selector}._domainkey.{domain}": dkim.public_record(rsa_key)}
    assert judge(field + HEADERS + b"\r\nhello\r\n", record)


def test_two_keys_share_one_body_hash(rsa_key, ed25519_key):
    body = b"hello\r\n"
    digest = dkim.hash_body(body)
    fields, _ = split(HEADERS + b"\r\n")
    first, second = (
        dkim.sign(
            fields, b"not looked at", domain="alias.test", selector=name, key=key, at=AT, body_hash=digest
        )
        for name, key in (("s1", rsa_key), ("e1", ed25519_key))
    )
    records = {
        NAME: dkim.public_record(rsa_key),
        "e1._domainkey.alias.test": dkim.public_record(ed25519_key),
    }
    message = HEADERS + b"\r\n" + body
    assert dkim_judges.opendkim(first + message, records)
    assert dkim_judges.opendkim(second + message, records)


def test_no_from_no_signature(rsa_key):
    with pytest.raises(dkim.UnsignableError):
        sign(b"To: a@example.com\r\n", b"", rsa_key)


@pytest.mark.parametrize("judge", [dkim_judges.opendkim, dkim_judges.mail_dkim])
def test_odd_headers_are_signed_so_that_others_read_them_alike(rsa_key, judge):
    headers = (
        b"Subject :  blank before the colon \r\n"
        b"FROM:a@alias.test\r\n"
        b"X-Empty:\r\n"
        b"To:\r\n one@example.com,\r\n \t two@example.com\r\n"
        b"Cc: first@example.com\r\n"
        b"Cc: second@example.com\r\n"
        b"Comments: \xff\xfe raw\r\n"
    )
    assert judge(signed(headers, b"hello\r\n", rsa_key), {NAME: dkim.public_record(rsa_key)})


def test_ten_thousand_fields_cost_little_and_still_verify(rsa_key):
    headers = HEADERS + b"X-Junk: foo  bar\r\n" * 5_000 + b"Cc: many@example.com\r\n" * 5_000
    start = time.process_time()
    field = sign(headers, b"hello\r\n", rsa_key)
    assert time.process_time() - start < 1.0
    assert len(field) < 2_000
    message = field + headers + b"\r\nhello\r\n"
    assert dkim_judges.dkimpy(message, {NAME: dkim.public_record(rsa_key)})


@pytest.mark.parametrize("line", [b"x" * 76 + b"\r\n", b"\r\n", b" " * 62 + b"\r\n", b" "], ids=repr)
def test_a_body_of_20_mb_is_hashed_where_it_lies(rsa_key, line):
    body = line * (20 * 1024 * 1024 // len(line))
    start = time.process_time()
    sign(HEADERS, body, rsa_key)
    assert time.process_time() - start < 1.0


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(
        st.binary(max_size=12).map(lambda b: b.replace(b"\r", b" ").replace(b"\n", b" ")), max_size=8
    ),
    tail=st.sampled_from([b"", b"\r\n", b"\r\n\r\n", b" \r\n\r\n\r\n"]),
)
def test_any_body_verifies(rsa_key, lines, tail):
    message = signed(HEADERS, b"\r\n".join(lines) + tail, rsa_key)
    assert dkim_judges.dkimpy(message, {NAME: dkim.public_record(rsa_key)})


@pytest.mark.parametrize("algorithm", list(dkim.Algorithm))
def test_a_key_survives_being_stored(algorithm):
    key = dkim.generate_key(algorithm)
    again = dkim.SigningKey.from_pkcs8(key.to_pkcs8())
    assert again.algorithm is algorithm
    assert dkim.public_record(again) == dkim.public_record(key)


def test_records_name_their_kind(rsa_key, ed25519_key):
    assert dkim.public_record(rsa_key).startswith("v=DKIM1; k=rsa; p=MII")
    assert dkim.public_record(ed25519_key).startswith("v=DKIM1; k=ed25519; p=")
    assert len(dkim.public_record(ed25519_key).rpartition("p=")[2]) == 44
    assert rsa_key.private.key_size == RSA_BITS


@pytest.mark.parametrize("junk", [b"", b"junk", b"\x30\x82" + b"\x00" * 40])
def test_junk_is_no_key(junk):
    with pytest.raises(dkim.UnreadableKeyError):
        dkim.SigningKey.from_pkcs8(junk)
