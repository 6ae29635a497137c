"""The evidence: it proves something for its own message and recipients, and nothing anywhere else."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from message_cases import KEYS
from message_strategies import bodies, fields, messages, values
from postmask.authentication import Authentication, DkimResult, Dmarc, DmarcResult, Policy, Spf, SpfResult
from postmask.keys import Keyring, Purpose, Secret
from postmask.message import evidence as module
from postmask.message.evidence import FIELD, LIMIT, Evidence, SpamNote, open_evidence, seal_evidence
from postmask.message.headers import Field, Headers, join, split

NOW = 1_800_000_000
OLDEST = 3_600
SHOP, NEWS, OTHER = "shop@alias.test", "news@alias.test", "other@alias.test"
MESSAGE = (
    b"Received: from a by b\r\nFrom: Bob <bob@example.com>\r\nTo: shop@alias.test\r\n"
    b"Date: Fri, 15 Jan 2027 08:00:00 +0000\r\nMessage-ID: <1@example.com>\r\n"
    b"Subject: Hello\r\n\r\nHello,\r\nBob\r\n"
)
EVIDENCE = Evidence(
    at=NOW,
    recipients=(NEWS, SHOP),
    sender="bounce@mail.example.com",
    client="2001:db8::1",
    client_name="mx.example.com",
    helo="h\udcfcö.example.com",
    login="bob",
    smtputf8=True,
    body="8BITMIME",
    spam=SpamNote("rspamd", 0.31, ("R_SPF_ALLOW", "MIME_GOOD"), 12),
    authentication=Authentication(
        SpfResult(Spf.PASS, "mail.example.com"),
        SpfResult(Spf.NONE, "h.example.com"),
        (
            DkimResult(
                domain="example.com",
                selector="s1",
                passed=True,
                signed=("from", "to", "date", "date"),
                algorithm="rsa",
                key_bits=2048,
                b=bytes(range(256)),
                at=NOW - 60,
                expires=None,
            ),
            DkimResult(reason="the field is no list of tags"),
        ),
        DmarcResult(Dmarc.FAIL, Policy.QUARANTINE, "example.com", "com", by_spf=False, reason="x"),
    ),
)


def sealed(message: bytes = MESSAGE, evidence: Evidence = EVIDENCE) -> bytes:
    """The message with its evidence on top."""
    headers, body = split(message)
    field = seal_evidence(KEYS, evidence, headers, body)
    assert field is not None
    return join(Headers([field, *headers.fields]), body)


def opened(
    message: bytes,
    recipients: tuple[str, ...] = (SHOP,),
    now: float = NOW + 10,
    keys: Keyring = KEYS,
) -> Evidence | None:
    headers, body = split(message)
    return open_evidence(keys, headers, body, recipients, now=now, oldest=OLDEST)


def test_all_of_it_comes_back():
    assert opened(sealed()) == EVIDENCE


@pytest.mark.parametrize(
    "evidence",
    [
        Evidence(NOW, (SHOP,), ""),
        Evidence(NOW, (SHOP,), "", spam=SpamNote(unscanned="spamd timeout, rspamd breaker open")),
        replace(EVIDENCE, spam=None),
        replace(EVIDENCE, authentication=None),
    ],
)
def test_what_is_not_known_comes_back_so(evidence):
    assert opened(sealed(evidence=evidence)) == replace(
        evidence, recipients=tuple(sorted(evidence.recipients))
    )


def test_nobody_can_read_it_and_its_lines_are_short():
    field = sealed().partition(b"Received:")[0]
    assert field.startswith(b"X-Postmask-Evidence: ")
    assert max(map(len, field.split(b"\r\n"))) <= 78
    assert b"example" not in base64.b64decode(b"".join(field.split(b":")[1].split()))


@pytest.mark.parametrize("recipients", [(SHOP,), (NEWS,), (NEWS, SHOP), ("Shop@ALIAS.test",), (SHOP, SHOP)])
def test_some_of_the_recipients_are_enough(recipients):
    assert opened(sealed(), recipients) == EVIDENCE


@pytest.mark.parametrize(
    "recipients", [(OTHER,), (SHOP, OTHER), (), ("shop+x@alias.test",), ("",), ("shop@alias.test ",)]
)
def test_another_recipient_has_none(recipients):
    assert opened(sealed(), recipients) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"bob@example.com", b"eve@example.com"),
        (b"From:", b"X-From:"),
        (b"From: Bob", b"From: Eve <eve@evil.test>\r\nFrom: Bob"),
        (b"08:00:00", b"09:00:00"),
        (b"Date:", b"X-Date:"),
        (b"<1@example.com>", b"<2@example.com>"),
        (b"Message-ID:", b"X-Message-ID:"),
        (b"Hello,\r\n", b"Hello\r\n"),
        (b"Hello,\r\n", b"\r\nHello,\r\n"),
        (b"Hello,\r\n", b"Hello, \r\n"),
        (b"\r\nBob\r\n", b"\r\nBob\r\nP.S.\r\n"),
    ],
)
def test_another_message_has_none(old, new):
    message = sealed()
    assert old in message
    assert opened(message.replace(old, new, 1)) is None


@pytest.mark.parametrize("sender", ["", "MAILER-DAEMON", "a b@example.com", "é@example.com", "x@\udcff"])
def test_odd_senders(sender):
    evidence = replace(EVIDENCE, sender=sender)
    assert opened(sealed(evidence=evidence)) == evidence


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Received: from a by b\r\n", b""),
        (b"Subject: Hello\r\n", b"Subject: [x] Hello\r\nX-Filtered: yes\r\n"),
        (b"From: Bob <bob", b"From: Bob\r\n\t <bob"),
        (b"\r\nBob\r\n", b"\r\nBob"),
        (b"\r\nBob\r\n", b"\r\nBob\r\n\r\n\r\n"),
        (b"\r\n", b"\n"),
    ],
)
def test_what_relays_change_makes_no_difference(old, new):
    message = sealed()
    assert old in message
    assert opened(message.replace(old, new)) == EVIDENCE


@pytest.mark.parametrize(
    ("now", "good"),
    [(NOW, True), (NOW + OLDEST, True), (NOW + OLDEST + 1, False), (NOW - 299, True), (NOW - 301, False)],
)
def test_it_grows_stale(now, good):
    assert (opened(sealed(), now=now) is not None) is good


def test_of_several_the_newest_counts_wherever_it_stands():
    older = sealed(evidence=replace(EVIDENCE, at=NOW - 60, login="old"))
    field = sealed().partition(b"Received:")[0]
    junk = b"X-Postmask-Evidence: AAAA\r\n"
    for message in (field + older, junk * 3 + older.replace(b"Subject:", field + b"Subject:")):
        assert opened(message) == EVIDENCE


def test_forged_ones_that_came_with_the_message_hide_nothing():
    """The milter's own stands below them all."""
    assert opened(b"X-Postmask-Evidence: AAAA\r\n" * 1000 + sealed()) == EVIDENCE


def test_above_many_forged_ones_it_is_not_looked_for():
    field = sealed().partition(b"Received:")[0]
    assert opened(field + b"X-Postmask-Evidence: AAAA\r\n" * 10 + MESSAGE) is None


def test_other_secrets_and_other_purposes():
    assert opened(sealed(), keys=Keyring([Secret(1, "2026-01-01", b"x" * 32)])) is None
    trace = base64.b64encode(KEYS.seal(Purpose.TRACE, b"[]"))
    assert opened(b"X-Postmask-Evidence: " + trace + b"\r\n" + MESSAGE) is None


@pytest.mark.parametrize(
    "plain",
    [
        "1",
        "[]",
        "{}",
        "null",
        '"abcdef"',
        "[1,[],'',[],[],null,null]".replace("'", '"'),
        '[1,[],"",["","","",""],[true,""],[0],null]',
        '[1,[],"",["","","",""],[true,""],null,[["pass","a"],["odd","a"],[],[]]]',
        "[1e999,2,3,4,5,6,7]",
        "nonsense",
    ],
)
def test_another_form_of_ours_is_none(plain):
    headers, body = split(MESSAGE)
    bound = module._bound(headers, body)
    text = base64.b64encode(KEYS.seal(Purpose.EVIDENCE, plain.encode(), *bound))
    assert opened(b"X-Postmask-Evidence: " + text + b"\r\n" + MESSAGE) is None


def test_too_much_for_a_header_is_none():
    headers, body = split(MESSAGE)
    many = replace(EVIDENCE, recipients=tuple(f"{number:040}@alias.test" for number in range(2_000)))
    assert seal_evidence(KEYS, many, headers, body) is None
    some = replace(EVIDENCE, recipients=tuple(f"{number:040}@alias.test" for number in range(600)))
    field = seal_evidence(KEYS, some, headers, body)
    assert field is not None
    assert len(field.raw) < 1.1 * LIMIT
    assert open_evidence(KEYS, Headers([field, *headers.fields]), body, some.recipients, now=NOW, oldest=1)


@pytest.mark.parametrize("ratio", [float("nan"), float("inf"), -float("inf")])
def test_a_ratio_is_a_number(ratio):
    with pytest.raises(ValueError, match="number"):
        SpamNote("rspamd", ratio)


ADDRESSES = st.sampled_from([SHOP, NEWS, OTHER, "SHOP@alias.test", "", "x"]) | st.text(max_size=20)


@settings(max_examples=200)
@given(value=st.binary(max_size=300), message=messages, to=ADDRESSES)
def test_hostile_input_is_none(value, message, to):
    """Whatever stands in the field, in whatever message, for whomever."""
    field = Field(b"X-Postmask-Evidence: " + value + b"\r\n", FIELD.lower().encode())
    headers, body = split(message)
    for text in (value, base64.b64encode(value), base64.b64encode(b"\1" + value)):
        field = Field(b"X-Postmask-Evidence: " + text + b"\r\n", FIELD.lower().encode())
        hostile = Headers([field, *headers.fields])
        assert open_evidence(KEYS, hostile, body, [to], now=NOW, oldest=OLDEST) is None


@settings(max_examples=200)
@given(
    head=st.lists(fields, max_size=6).map(b"".join),
    body=bodies,
    other_head=st.lists(fields, max_size=6).map(b"".join),
    other_body=bodies,
    to=st.lists(ADDRESSES, min_size=1, max_size=3),
)
def test_copied_onto_another_message_it_proves_nothing(head, body, other_head, other_body, to):
    own, own_body = split(head + b"\r\n" + body)
    field = seal_evidence(KEYS, replace(EVIDENCE, recipients=tuple(to)), own, own_body)
    assert field is not None

    def proves(headers: Headers, content: bytes, whom: tuple[str, ...] = tuple(to)) -> bool:
        both = Headers([field, *headers.fields])
        return open_evidence(KEYS, both, content, whom, now=NOW, oldest=OLDEST) is not None

    assert proves(own, own_body)
    assert not proves(own, own_body, whom=(*to, "stranger@alias.test"))
    assert not proves(own, own_body + b"x")
    other, content = split(other_head + b"\r\n" + other_body)
    if proves(other, content):
        assert content.replace(b"\r\n", b"\n").strip(b"\n") == own_body.replace(b"\r\n", b"\n").strip(b"\n")
        for name in ("from", "date"):
            theirs = [one.value.split() for one in other.get_all(name)]
            assert theirs == [one.value.split() for one in own.get_all(name)]


@given(values)
def test_an_altered_seal_is_none(noise):
    field = sealed().partition(b"Received:")[0]
    text = b"".join(field.partition(b":")[2].split())
    for altered in (text[:-4], text[4:], text[:40] + b"AAAA" + text[44:], text + base64.b64encode(noise)[:8]):
        if altered != text:
            assert opened(b"X-Postmask-Evidence: " + altered + b"\r\n" + MESSAGE) is None


def test_the_form_is_raised_when_the_json_changes():
    """Two versions of ours must not read each other's evidence in another sense: see _FORM."""
    shape = json.dumps(module._to_json(EVIDENCE), default=bytes.hex)
    assert module._FORM == b"evidence 2"
    assert [len(part) if isinstance(part, list) else 0 for part in json.loads(shape)] == [0, 2, 0, 4, 2, 5, 4]
