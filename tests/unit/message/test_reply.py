"""Replies: what goes out, and that the owner isn't in it."""

from __future__ import annotations

import email

import pytest

from message_cases import CONTACT, replied, reverse_for
from postmask.address import parse_loose
from postmask.message.headers import Headers, join, split
from postmask.message.mailboxes import NamedAddress
from postmask.message.reply import ALLOWED, addressed

_REVERSE = str(reverse_for(CONTACT.address))


def _out(text: str, contact_name: str | None = "Bob") -> Headers:
    data = text.replace("\n", "\r\n").encode() + b"\r\nbody\r\n"
    result = replied(data, (NamedAddress(contact_name, CONTACT.address),))
    assert result.findings == ()
    return result.headers


def _value(headers: Headers, name: str) -> bytes | None:
    field = headers.get(name)
    return field.value if field else None


def test_from_is_the_alias_alone() -> None:
    headers = _out(
        f"From: Olive Owner <owner@mailbox.test>\nTo: {_REVERSE}\nFrom: x@y.z\nSender: owner@mailbox.test\n"
    )
    assert [field.value for field in headers.get_all("from")] == [b"Shop Keeper <shop@alias.test>"]
    assert headers.get("sender") is None


@pytest.mark.parametrize(
    "name",
    [
        "Received",
        "X-Mailer",
        "User-Agent",
        "X-Originating-IP",
        "Return-Path",
        "Reply-To",
        "Autocrypt",
        "Organization",
        "DKIM-Signature",
        "Authentication-Results",
        "X-Anything",
        "List-Id",
        "Resent-From",
        "Bcc",
        "ARC-Seal",
        "X-Postmask-Evidence",
    ],
)
def test_what_is_not_allowed_stays_here(name: str) -> None:
    assert name.lower().encode() not in ALLOWED
    assert _out(f"From: owner@mailbox.test\nTo: {_REVERSE}\n{name}: anything\n").get(name.lower()) is None


def test_what_is_allowed_keeps_its_octets() -> None:
    kept = (
        "Subject:  odd  blanks\n\tfolded\nDate: Mon, 04 Jan 2027 11:00:00 +0100\n"
        "MIME-Version: 1.0\nContent-Type: text/plain;\n format=flowed\nContent-Transfer-Encoding:  8BIT\n"
        'Content-Disposition: attachment;\n filename="a  b"\nContent-Language: de\n'
        "Auto-Submitted:  auto-replied (rejected)\nPrecedence: bulk\n"
    )
    assert (
        kept.replace("\n", "\r\n").encode()
        in _out(f"From: owner@mailbox.test\n{kept}To: {_REVERSE}\n").to_bytes()
    )


@pytest.mark.parametrize(
    ("to", "expected"),
    [
        (f'"Bob (bob at example.com)" <{_REVERSE}>', b"Bob <bob@example.com>"),
        (_REVERSE.upper(), b"Bob <bob@example.com>"),
        (f"{_REVERSE}, owner@mailbox.test", b"Bob <bob@example.com>, Shop Keeper <shop@alias.test>"),
        (f"{_REVERSE}, {_REVERSE}", b"Bob <bob@example.com>"),
        (f"friend@elsewhere.test, {_REVERSE}", b"friend@elsewhere.test, Bob <bob@example.com>"),
        ("owner@mailbox.test", b"Shop Keeper <shop@alias.test>"),
        ("", b"Bob <bob@example.com>"),
        ("undisclosed-recipients:;", b"Bob <bob@example.com>"),
        (f"{reverse_for(parse_loose('carol@example.org'))}", b"carol@example.org"),
        (f"{reverse_for(parse_loose('stranger@example.org'))}", b"Bob <bob@example.com>"),
        (f"{reverse_for(parse_loose('stranger@example.org'))}".upper(), b"Bob <bob@example.com>"),
    ],
)
def test_to(to: str, expected: bytes) -> None:
    assert _value(_out(f"From: owner@mailbox.test\nTo: {to}\n"), "to") == expected


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ('"Bob B. (bob at example.com)" ', b'"Bob B." <bob@example.com>'),
        ('"bob at example.com" ', b"bob@example.com"),
        ("My Plumber ", b"My Plumber <bob@example.com>"),
        ("", b"bob@example.com"),
    ],
)
def test_the_name_without_the_address_that_forward_put_there(shown: str, expected: bytes) -> None:
    assert _value(_out(f"From: owner@mailbox.test\nTo: {shown}<{_REVERSE}>\n", None), "to") == expected


@pytest.mark.parametrize(
    ("shown", "known", "expected"),
    [
        ("Carl (bob at example.com)", "Bob", b"Carl <bob@example.com>"),
        ("'Carl (bob at example.com)'", "Bob", b"Carl <bob@example.com>"),
        ("My Plumber", "Bob", b"Bob <bob@example.com>"),
        ("bob at example.com", "Bob", b"Bob <bob@example.com>"),
        ("(bob at example.com) Bob", "Bob", b"Bob <bob@example.com>"),
        ("Carl (carl at example.com)", "Bob", b"Bob <bob@example.com>"),
        ("Carl (carl at example.com)", None, b"bob@example.com"),
        ("B" * 80 + " (bob at example.com)", "B" * 90, b"B" * 90 + b" <bob@example.com>"),
    ],
    ids=str,
)
def test_the_name_is_the_one_that_is_answered(shown: str, known: str | None, expected: bytes) -> None:
    """Several people may write from one address; the first's name is kept."""
    to = f'To: "{shown}" <{_REVERSE}>\n'
    assert _value(_out(f"From: owner@mailbox.test\n{to}", known), "to") == expected


def test_each_field_goes_out_once() -> None:
    twice = "Date: one\nDate: two\nSubject: one\nSubject: two\nAuto-Submitted: no\nAuto-Submitted: x\n"
    headers = _out(f"From: owner@mailbox.test\nTo: {_REVERSE}\nTo: {_REVERSE}\n{twice}")
    names = [field.key for field in headers.fields]
    assert len(set(names)) == len(names)
    assert (_value(headers, "date"), _value(headers, "subject")) == (b"one", b"one")


def test_a_message_id_is_made_where_there_is_none() -> None:
    for text in ("", "Message-ID: <\n"):
        made = _value(_out(f"From: owner@mailbox.test\nTo: {_REVERSE}\n{text}"), "message-id")
        assert made is not None
        assert made.endswith(b"@alias.test>")


def test_receipts_come_to_the_alias() -> None:
    headers = _out(
        f"From: owner@mailbox.test\nTo: {_REVERSE}\nDisposition-Notification-To: owner@mailbox.test\n"
    )
    assert _value(headers, "disposition-notification-to") == b"shop@alias.test"


@pytest.mark.parametrize("contact", ["owner@mailbox.test", "Owner+try@mailbox.test"])
def test_an_owner_who_tries_the_alias_with_the_own_mailbox(contact: str) -> None:
    """The contact is then the owner: the answer goes out, and still doesn't show the mailbox."""
    named = NamedAddress("Olive", parse_loose(contact))
    reverse = str(reverse_for(named.address))
    data = f"From: owner@mailbox.test\r\nTo: {reverse}\r\n\r\n<{reverse}> wrote:\r\n".encode()
    result = replied(data, (named,))
    assert result.findings == ()
    assert _value(result.headers, "to") == b"Shop Keeper <shop@alias.test>"
    assert result.body == b"<shop@alias.test> wrote:\r\n"


def test_a_reverse_alias_that_stands_for_the_owner_becomes_the_alias_in_the_text_too() -> None:
    """One of an earlier message, which stands in no field of this one."""
    quoted = str(reverse_for(parse_loose("dave@example.net")))
    data = f"From: owner@mailbox.test\r\nTo: {_REVERSE}\r\n\r\n<{quoted}> wrote:\r\n".encode()
    result = replied(data, owners=frozenset({"owner@mailbox.test", "dave@example.net"}))
    assert result.findings == ()
    assert result.body == b"<shop@alias.test> wrote:\r\n"


def test_an_alias_of_ours_in_cc_stays() -> None:
    text = f"From: owner@mailbox.test\nTo: {_REVERSE}\nCc: second@alias.test, postmaster@alias.test\n"
    assert _value(_out(text), "cc") == b"second@alias.test, postmaster@alias.test"


def test_addressed_names_all_of_to_and_cc() -> None:
    headers, _ = split(b"To: a@b.c, Bob <d@e.f>\r\nCc: g@h.i\r\nBcc: j@k.l\r\n\r\n")
    assert [str(entry.address) for entry in addressed(headers)] == ["a@b.c", "d@e.f", "g@h.i"]


def test_a_line_that_grew_is_folded() -> None:
    body = b"x" * 979 + b" owner@mailbox.test\r\n"
    result = replied(b"From: owner@mailbox.test\r\nTo: " + _REVERSE.encode() + b"\r\n\r\n" + body * 2)
    assert max(map(len, result.body.split(b"\r\n"))) <= 998


def test_a_long_line_in_which_nothing_is_replaced_is_folded() -> None:
    """smtp(8) would break it behind the signature."""
    result = replied(b"From: owner@mailbox.test\r\n\r\n" + b"x" * 2_000 + b"\r\n")
    assert [len(line) for line in result.body.split(b"\r\n")] == [998, 998, 6, 0]


def test_names_of_parts_tell_no_domain_of_the_owner() -> None:
    """Thunderbird's name a picture in the domain of From; those of others stay."""
    text = (
        f"From: owner@mailbox.test\nTo: {_REVERSE}\nContent-Type: multipart/related; boundary=b\n\n"
        "--b\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n"
        '<img src=3D"cid:part1.AbC.x@mailbox.=\ntest"><img src=3D"cid:two@example.com">\n'
        "--b\nContent-Type: image/png\nContent-ID: <part1.AbC.x@mailbox.test>\n\nx\n"
        "--b\nContent-Type: image/png\nContent-ID: <two@example.com>\n\nx\n"
        "--b\nContent-Type: image/png\nContent-ID: <three@Mailbox.TEST>\n\nx\n"
        "--b\nContent-Type: text/plain\nContent-ID: <Owner@mailbox.test>\n\nowner@mailbox.test\n--b--\n"
    )
    result = replied(text.replace("\n", "\r\n").encode())
    assert result.findings == ()
    assert b"mailbox.test" not in result.body.lower()
    whole = email.message_from_bytes(join(result.headers, result.body))
    shown, *named = whole.get_payload()
    assert [part["Content-ID"] for part in named] == [
        "<part1.AbC.x@alias.test>",
        "<two@example.com>",
        "<three@alias.test>",
        "<shop@alias.test>",
    ]
    assert b'"cid:part1.AbC.x@alias.test"><img src="cid:two@example.com"' in shown.get_payload(decode=True)


def test_an_untouched_body_is_the_same_object() -> None:
    data = b"From: owner@mailbox.test\r\n\r\n" + b"\0\xff\rbody"
    assert replied(data).body == b"\0\xff\rbody"
