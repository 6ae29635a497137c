"""Verifying what strangers signed, and what strangers made up."""

from __future__ import annotations

import base64
import hashlib
import re
import time

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from dkim_mail import ed25519_key, published, rsa_key, stranger_signs
from dns_data import DnsData
from postmask.auth import dkim
from postmask.authentication import DkimResult
from postmask.clock import DAY, Deadline, ManualClock
from postmask.message.headers import split

NOW = time.time()
MESSAGE = (
    b"From: Owner <owner@example.com>\r\n"
    b"To: =?utf-8?q?B=C3=B6b?=\r\n\t<bob.token@alias.test>\r\n"
    b"Subject:  two   blanks \r\n"
    b"Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
    b"\r\n"
    b"Hello  \r\n\r\nworld\t!\r\n\r\n\r\n"
)


SIGNED = stranger_signs(MESSAGE, rsa_key())


@pytest.fixture
def zone() -> DnsData:
    zone = DnsData()
    published(zone, rsa_key())
    return zone


def verify(message: bytes, zone: DnsData, now: float = NOW, seconds: float = 10) -> tuple[DkimResult, ...]:
    headers, body = split(message)
    return dkim.verify(headers, body, zone.txt, Deadline.after(ManualClock(), seconds), now)


def only(results: tuple[DkimResult, ...]) -> DkimResult:
    (result,) = results
    return result


def ours(message: bytes, key: dkim.SigningKey, selector: str = "s1", at: int = int(NOW)) -> bytes:
    headers, body = split(message)
    field = dkim.sign(headers, body, domain="example.com", selector=selector, key=key, at=at)
    return field + message


@pytest.mark.parametrize("form", ["simple/simple", "simple/relaxed", "relaxed/simple", "relaxed/relaxed"])
def test_a_strangers_signature_passes(zone, form):
    result = only(verify(stranger_signs(MESSAGE, rsa_key(), form=form), zone))
    assert result.passed, result.reason
    assert (result.domain, result.selector, result.key_bits) == ("example.com", "s1", 2048)
    assert (result.algorithm, result.has_length, result.temporary) == ("rsa", False, False)
    assert result.signed.count("from") == 2
    assert len(result.b) == 256
    assert result.at is not None
    assert result.expires is None


def test_our_own_signatures_pass(zone):
    published(zone, ed25519_key(), selector="e1")
    message = ours(ours(MESSAGE, rsa_key()), ed25519_key(), selector="e1")
    first, second = verify(message, zone)
    assert first.passed
    assert (first.algorithm, first.key_bits) == ("ed25519", 256)
    assert second.passed


def test_the_example_of_rfc_8463():
    """RFC 8463 §A.3: one message, an Ed25519 and an RSA signature, made by neither dkimpy nor us."""
    message = (
        b"DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
        b" d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
        b" subject : date : message-id : from : subject : date;\r\n"
        b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        b" b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
        b" Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n"
        b"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed;\r\n"
        b" d=football.example.com; i=@football.example.com;\r\n"
        b" q=dns/txt; s=test; t=1528637909; h=from : to : subject :\r\n"
        b" date : message-id : from : subject : date;\r\n"
        b" bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        b" b=F45dVWDfMbQDGHJFlXUNB2HKfbCeLRyhDXgFpEL8GwpsRe0IeIixNTe3\r\n"
        b" DhCVlUrSjV4BwcVcOF6+FF3Zo9Rpo1tFOeS9mPYQTnGdaSGsgeefOsk2Jz\r\n"
        b" dA+L10TeYt9BgDfQNZtKdN1WO//KgIqXP7OdEFE4LjFYNcUxZQ4FADY+8=\r\n"
        b"From: Joe SixPack <joe@football.example.com>\r\n"
        b"To: Suzie Q <suzie@shopping.example.net>\r\n"
        b"Subject: Is dinner ready?\r\n"
        b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
        b"\r\n"
        b"Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"
    )
    zone = DnsData()
    zone.txts["brisbane._domainkey.football.example.com"] = [
        b"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    ]
    zone.txts["test._domainkey.football.example.com"] = [
        b"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWR"
        b"iGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutAC"
        b"DfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3"
        b"Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
    ]
    first, second = verify(message, zone)
    assert (first.passed, second.passed) == (True, True), (first.reason, second.reason)
    assert (first.key_bits, second.key_bits) == (256, 1024)


def test_the_example_of_rfc_6376():
    """RFC 6376 §A.2 and §C: simple form, so every octet counts, the field's own folds too."""
    message = (
        b"DKIM-Signature: v=1; a=rsa-sha256; s=brisbane; d=example.com;\r\n"
        b"      c=simple/simple; q=dns/txt; i=joe@football.example.com;\r\n"
        b"      h=Received : From : To : Subject : Date : Message-ID;\r\n"
        b"      bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n"
        b"      b=AuUoFEfDxTDkHlLXSZEpZj79LICEps6eda7W3deTVFOk4yAUoqOB\r\n"
        b"      4nujc7YopdG5dWLSdNg6xNAZpOPr+kHxt1IrE+NahM6L/LbvaHut\r\n"
        b"      KVdkLLkpVaVVQPzeRDI009SO2Il5Lu7rDNH6mZckBdrIx0orEtZV\r\n"
        b"      4bmp/YzhwvcubU4=;\r\n"
        b"Received: from client1.football.example.com  [192.0.2.1]\r\n"
        b"      by submitserver.example.com with SUBMISSION;\r\n"
        b"      Fri, 11 Jul 2003 21:01:54 -0700 (PDT)\r\n"
        b"From: Joe SixPack <joe@football.example.com>\r\n"
        b"To: Suzie Q <suzie@shopping.example.net>\r\n"
        b"Subject: Is dinner ready?\r\n"
        b"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n"
        b"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n"
        b"\r\n"
        b"Hi.\r\n\r\nWe lost the game. Are you hungry yet?\r\n\r\nJoe.\r\n"
    )
    zone = DnsData()
    zone.txts["brisbane._domainkey.example.com"] = [
        b"v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9"
        b"ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od"
        b"+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToI"
        b"MmPSPDdQPNUYckcQ2QIDAQAB"
    ]
    (result,) = verify(message, zone)
    assert result.passed, result.reason
    (changed,) = verify(message.replace(b"com  [192", b"com [192"), zone)
    assert not changed.passed


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: m.replace(b"Subject:  two", b"Subject: three"), "header was changed"),
        (lambda m: m.replace(b"world", b"earth"), "body was changed"),
        (lambda m: m + b"appended\r\n", "body was changed"),
        (lambda m: m.replace(b"\r\nFrom:", b"\r\nFrom: eve@example.net\r\nFrom:", 1), "header was changed"),
        (lambda m: m.replace(b"\r\nTo:", b"\r\nFrom : eve@example.net\r\nTo:", 1), "header was changed"),
        (lambda m: m.replace(b"s=s1", b"s=s9"), "no key"),
    ],
    ids=["subject", "body", "appended", "From above", "From below, blank before colon", "selector"],
)
def test_a_changed_message_fails(zone, change, reason):
    result = only(verify(change(stranger_signs(MESSAGE, rsa_key())), zone))
    assert not result.passed
    assert not result.temporary
    assert reason in result.reason


def test_ed25519_without_the_padding_of_base64_passes_and_changed_fails(zone):
    """RFC 6376 §2.10: "=" at the end of base64 may be left out, in the record and in the signature."""
    zone.txts["e1._domainkey.example.com"] = [dkim.public_record(ed25519_key()).rstrip("=").encode()]
    message = ours(MESSAGE, ed25519_key(), selector="e1").replace(b"==\r\n", b"\r\n", 1)
    assert only(verify(message, zone)).passed
    assert "header was changed" in only(verify(message.replace(b"two", b"2"), zone)).reason


def test_fields_are_taken_from_the_bottom(zone):
    """A To field put on top of a message whose only To is signed: the signature still passes, and
    that it covers one To field only can be seen from `signed`."""
    message = stranger_signs(MESSAGE, rsa_key(), names=["from", "from", "to", "date"])
    added = message.replace(b"\r\nFrom:", b"\r\nTo: eve@example.net\r\nFrom:", 1)
    result = only(verify(added, zone))
    assert result.passed
    assert result.signed.count("to") == 1


def test_length_is_told(zone):
    message = stranger_signs(MESSAGE, rsa_key(), length=True)
    for text in (message, message + b"appended\r\n"):
        result = only(verify(text, zone))
        assert result.passed
        assert result.has_length


def test_what_has_just_expired_or_is_days_ahead_is_not_good(zone):
    assert "has expired" in only(verify(resigned({b"x": b"%d" % (NOW - 1)}), zone)).reason
    assert "dated in the future" in only(verify(resigned({b"t": b"%d" % (NOW + 2 * DAY)}), zone)).reason


def test_a_length_of_nothing_is_told_too(zone):
    """Whoever has such a signature may put any text behind it."""
    message = stranger_signs(MESSAGE.partition(b"Hello")[0], rsa_key(), length=True)
    assert b"l=0;" in message
    result = only(verify(message + b"appended\r\n", zone))
    assert result.passed
    assert result.has_length


def test_a_length_beyond_the_body_fails(zone):
    message = stranger_signs(MESSAGE, rsa_key(), length=True)
    shorter = message.replace(b"Hello  \r\n\r\n", b"")
    assert not only(verify(shorter, zone)).passed


def test_dns_trouble_is_temporary(zone):
    zone.failing.add("s1._domainkey.example.com")
    result = only(verify(stranger_signs(MESSAGE, rsa_key()), zone))
    assert (result.passed, result.temporary) == (False, True)
    assert result.domain == "example.com"
    assert result.signed


def test_no_time_left_is_temporary(zone):
    clock = ManualClock()
    deadline = Deadline.after(clock, 1)
    headers, body = split(stranger_signs(MESSAGE, rsa_key()))
    clock.advance(2)
    result = only(dkim.verify(headers, body, zone.txt, deadline, NOW))
    assert (result.passed, result.temporary, result.reason) == (False, True, "out of time")


def test_ten_signatures_and_no_more(zone):
    signed = stranger_signs(MESSAGE, rsa_key())
    field = signed[: -len(MESSAGE)]
    results = verify(field * 25 + MESSAGE, zone)
    assert len(results) == 10
    assert all(result.passed for result in results)
    assert zone.asked == ["s1._domainkey.example.com"]


def test_they_are_the_topmost(zone):
    signed = stranger_signs(MESSAGE, rsa_key())
    junk = b"DKIM-Signature: junk\r\n" * 25
    results = verify(signed[: -len(MESSAGE)] + junk + MESSAGE, zone)
    assert [result.passed for result in results] == [True] + [False] * 9


def test_a_key_of_1024_bits_is_good():
    zone = DnsData()
    published(zone, rsa_key(1024))
    assert only(verify(stranger_signs(MESSAGE, rsa_key(1024)), zone)).passed


@pytest.mark.parametrize(
    ("bits", "exponent", "reason"),
    [
        (4096, 65537, "the header was changed, or the key is another one"),
        (4104, 65537, "the key has 4104 bits"),
        (1016, 65537, "the key has 1016 bits"),
        (16384, 65537, "the key has 16384 bits"),
        (2048, (1 << 64) + 1, "the key's exponent is too large"),
    ],
)
def test_dear_keys_are_not_used(bits, exponent, reason):
    modulus = (1 << (bits - 1)) | int.from_bytes(hashlib.sha512(b"any odd number").digest()) | 1
    numbers = rsa.RSAPublicNumbers(exponent, modulus)
    der = numbers.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    zone = DnsData()
    zone.txts["s1._domainkey.example.com"] = [b"p=" + base64.b64encode(der)]
    assert only(verify(SIGNED, zone)).reason == reason


def test_a_key_of_512_bits_is_refused(zone):
    """Such a key can't even be made here any more; this one is public since 2012."""
    record = (
        "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALVI635dLK4cJJAH3Lx6upo3X/Lm1tQz3mezcWTA3BUBnyIsdn"
        "RIvtkA5GV2vpo7gwPWbYqgaI2xRkFXI41pPVMCAwEAAQ=="
    )
    zone.txts["s1._domainkey.example.com"] = [record.encode()]
    result = only(verify(stranger_signs(MESSAGE, rsa_key()), zone))
    assert not result.passed
    assert not result.temporary


def resigned(tags: dict[bytes, bytes]) -> bytes:
    """A signature of a stranger with tags changed or added: it can't verify, but must be read so far."""
    message = stranger_signs(MESSAGE, rsa_key())
    for name, value in tags.items():
        pattern = re.compile(rb"([;\s])" + name + rb"=[^;]*;")
        replaced = pattern.sub(rb"\g<1>" + name + b"=" + value + b";", message, count=1)
        message = (
            replaced
            if pattern.search(message)
            else message.replace(b"v=1;", b"v=1; %s=%s;" % (name, value), 1)
        )
    return message


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ({b"v": b"2"}, "v= is not 1"),
        ({b"a": b"rsa-sha1"}, "a= is unknown or no longer safe"),
        ({b"a": b"rsa-md5"}, "a= is unknown or no longer safe"),
        ({b"a": b"ed25519-sha256"}, "another kind"),
        ({b"c": b"loose/loose"}, "c= is unknown"),
        ({b"d": b"exa mple"}, "d= is no domain"),
        ({b"d": b""}, "d= is missing"),
        ({b"s": b"../x"}, "s= is no selector"),
        ({b"h": b"to : date"}, "From is not signed"),
        ({b"i": b"@example.net"}, "i= is of another domain"),
        ({b"i": b"@badexample.com"}, "i= is of another domain"),
        ({b"q": b"http"}, "q= names no method"),
        ({b"t": b"soon"}, "t= is no number"),
        ({b"t": b"9999999999"}, "dated in the future"),
        ({b"x": b"1000000000"}, "has expired"),
        ({b"c": b"relaxed"}, "the body was changed"),  # simple/simple by default, each for itself
        ({b"l": b"-1"}, "l= is no number"),
        ({b"l": "٣".encode()}, "l= is no number"),
        ({b"bh": b"!!!"}, "bh= is no base64"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_bad_tags(zone, tags, reason):
    result = only(verify(resigned(tags), zone))
    assert not result.passed
    assert not result.temporary
    assert reason in result.reason


@pytest.mark.parametrize(
    "field",
    [
        b"DKIM-Signature:\r\n",
        b"DKIM-Signature: v=1\r\n",
        b"DKIM-Signature: ;;;;\r\n",
        b"DKIM-Signature: v=1; v=1\r\n",
        b"DKIM-Signature: \xff\xfe\r\n",
        b"DKIM-Signature: " + b"b=;" * 20_000 + b"\r\n",
        b"DKIM-Signature: v=1; a=rsa-sha256; b=" + b" " * 90_000 + b"x; \r\n",
    ],
    ids=lambda field: repr(field[:40]),
)
def test_junk_is_no_signature(zone, field):
    result = only(verify(field + MESSAGE, zone))
    assert (result.passed, result.temporary, result.domain) == (False, False, "")
    assert zone.asked == []


RECORD = dkim.public_record(rsa_key())
DATA = RECORD.partition("p=")[2]
ED25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="  # RFC 8410 §10.1


@pytest.mark.parametrize(
    ("record", "good"),
    [
        (f"p={DATA}", True),
        (f"v=DKIM1; p={DATA};", True),
        (f" v = DKIM1 ; k=RSA; p={DATA[:90]} {DATA[90:]} ; ", True),
        (f"v=DKIM1; t=y; p={DATA}", True),
        (f"v=DKIM1; h=sha1:sha256; s=email; n=note; p={DATA}", True),
        (f"v=DKIM2; p={DATA}", False),
        (f"v=dkim1; p={DATA}", False),
        (f"v=DKIM1; k=dsa; p={DATA}", False),
        (f"v=DKIM1; k=ed25519; p={DATA}", False),
        (f"v=DKIM1; h=sha1; p={DATA}", False),
        (f"v=DKIM1; s=tlsrpt; p={DATA}", False),
        ("v=DKIM1; p=", False),
        ("v=DKIM1", False),
        (f"v=DKIM1; p={DATA[:100]}", False),
        (f"v=DKIM1; n={'x' * 8192}; p={DATA}", False),
        (f"v=DKIM1; p={ED25519}", False),
        ("v=DKIM1; p=%%%", False),
        (f"v=DKIM1; p={DATA}; p={DATA}", False),
        ("", False),
        ("x" * 60_000, False),
        (b"\xff\xfe", False),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_key_records(record, good):
    zone = DnsData()
    zone.txts["s1._domainkey.example.com"] = [record if isinstance(record, bytes) else record.encode()]
    result = only(verify(stranger_signs(MESSAGE, rsa_key()), zone))
    assert result.passed is good
    assert not result.temporary


def test_of_several_records_the_first_usable_one_counts(zone):
    zone.txts["s1._domainkey.example.com"].insert(0, b"v=spf1 -all")
    assert only(verify(stranger_signs(MESSAGE, rsa_key()), zone)).passed


def test_a_strict_key_is_not_for_subdomains():
    zone = DnsData()
    zone.txts["s1._domainkey.example.com"] = [RECORD.replace("k=rsa;", "k=rsa; t=s;").encode()]
    assert only(verify(stranger_signs(MESSAGE, rsa_key()), zone)).passed
    below = resigned({b"i": b"@sub.example.com"})
    assert "not for subdomains" in only(verify(below, zone)).reason


def test_spacing_in_b_makes_no_difference(zone):
    message = stranger_signs(MESSAGE, rsa_key())
    field, rest = message[: -len(MESSAGE)], message[-len(MESSAGE) :]
    start = field.index(b" b=") + 3
    compact = field[:start] + re.sub(rb"\s", b"", field[start:]) + b"\r\n"
    one, other = only(verify(message, zone)), only(verify(compact + rest, zone))
    assert (one.passed, other.passed) == (True, True)
    assert one.b == other.b


@pytest.mark.parametrize(
    "message",
    [
        stranger_signs(MESSAGE, rsa_key()).replace(b"; s=s1", b"; h=" + b"x:" * 40_000 + b"from; s=s1"),
        stranger_signs(b"X-Junk: a  b\r\n" * 10_000 + MESSAGE, rsa_key(), names=["from", "date"]),
        stranger_signs(MESSAGE, rsa_key()).replace(b"; s=s1", b"; z=" + b" \r\n\t" * 20_000 + b"; s=s1"),
    ],
    ids=["40,000 names", "10,000 fields", "80 KB of folds"],
)
def test_hostile_headers_cost_little(zone, message):
    start = time.process_time()
    verify(message, zone)
    assert time.process_time() - start < 2.0


def test_ten_signatures_over_a_large_hostile_body_pass_it_once(zone):
    field = stranger_signs(MESSAGE, rsa_key(), length=True)[: -len(MESSAGE)]
    fields = b"".join(re.sub(rb"l=\d+", b"l=%d" % length, field) for length in range(10))
    header = MESSAGE[: MESSAGE.index(b"\r\n\r\n") + 4]
    message = fields + header + b"a\t " * (3 * 1024 * 1024) + b"\r\n"
    start = time.process_time()
    assert len(verify(message, zone)) == 10
    assert time.process_time() - start < 8.0


@settings(max_examples=150, deadline=None)
@given(field=st.binary(max_size=200), record=st.binary(max_size=60))
def test_any_field_and_any_record_are_survived(field, record):
    zone = DnsData()
    zone.txts["s1._domainkey.example.com"] = [record if isinstance(record, bytes) else record.encode()]
    for message in (b"DKIM-Signature: " + field + b"\r\n" + MESSAGE, SIGNED):
        assert not any(result.passed for result in verify(message, zone))


TAGS = st.fixed_dictionaries(
    {},
    optional={
        name: st.sampled_from(
            [
                "",
                "1",
                "x",
                "from",
                "rsa-sha256",
                "example.com",
                "s1",
                "AAAA",
                "relaxed/simple",
                "@example.com",
            ]
        )
        | st.text(max_size=8)
        for name in ("v", "a", "b", "bh", "c", "d", "h", "i", "l", "q", "s", "t", "x", "z")
    },
)


@settings(max_examples=200, deadline=None)
@given(tags=TAGS)
def test_any_tags_are_survived(tags):
    zone = DnsData()
    published(zone, rsa_key())
    text = "; ".join(f"{name}={value}" for name, value in tags.items())
    headers, body = split(b"DKIM-Signature: " + text.encode("utf-8", "replace") + b"\r\n" + MESSAGE)
    results = dkim.verify(headers, body, zone.txt, Deadline.after(ManualClock(), 5), NOW)
    assert not any(result.passed for result in results)
