"""Forwarding: which addresses are mapped, which are left out, and what stays."""

from __future__ import annotations

import pytest

from message_cases import (
    ALIAS,
    AUTHSERV_ID,
    TRACE,
    envelope_sender,
    forwarded,
    own,
    reverse_for,
    to_owner,
)
from postmask.address import parse_loose
from postmask.message.authres import READ_LIMIT
from postmask.message.forward import TRACES_KEPT, ForwardContext, author, forward, shown, wanted
from postmask.message.headers import MAX_NAME, Headers, split
from postmask.message.mailboxes import NamedAddress, parse_list


def _headers(text: str) -> Headers:
    return split(text.replace("\n", "\r\n").encode() + b"\r\n")[0]


def _wanted(text: str, sender: str = "bounce@example.com", limit: int = 50) -> list[str]:
    return [
        str(entry.address) for entry in wanted(_headers(text), ALIAS, own, envelope_sender(sender), limit)
    ]


def _forwarded(text: str, **more: int) -> Headers:
    return split(forwarded(text.replace("\n", "\r\n").encode() + b"\r\nbody\r\n", **more))[0]


def test_wanted_begins_with_the_sender_and_names_each_once() -> None:
    text = (
        "To: shop@alias.test, c@x.y, C@X.Y\nCc: second@alias.test, d@x.y\nFrom: B <b@x.y>\nReply-To: r@x.y\n"
    )
    assert _wanted(text) == ["b@x.y", "r@x.y", "c@x.y", "d@x.y"]


def test_wanted_stops_at_the_limit() -> None:
    text = "From: b@x.y\nTo: " + ", ".join(f"u{n}@x.y" for n in range(100)) + "\n"
    assert len(_wanted(text)) == 50
    assert _wanted(text, limit=2) == ["b@x.y", "u0@x.y"]


def test_wanted_includes_mailto_targets() -> None:
    assert _wanted("From: b@x.y\nList-Unsubscribe: <mailto:leave%2Bme@x.y>\n") == ["b@x.y", "leave+me@x.y"]


@pytest.mark.parametrize(
    ("text", "sender", "expected"),
    [
        ("From: Bob <b@x.y>\n", "e@x.y", ("Bob", "b@x.y")),
        ("From: Bob\n", "e@x.y", ("Bob", "e@x.y")),
        ("From:\n", "e@x.y", (None, "e@x.y")),
        ("From: a@@, Bob <b@x.y>\n", "e@x.y", ("Bob", "b@x.y")),
        ("To: x@y.z\n", "e@x.y", (None, "e@x.y")),
        ("From: junk\nFrom: b@x.y\n", "", (None, "b@x.y")),
        ("From: junk\n", "", None),
        ("", "", None),
    ],
)
def test_author(text: str, sender: str, expected: tuple[str | None, str] | None) -> None:
    found = author(_headers(text), envelope_sender(sender))
    assert (None if found is None else (found.name, str(found.address))) == expected


@pytest.mark.parametrize(
    ("name", "address", "expected"),
    [
        ("Bob", "bob@example.com", "Bob (bob at example.com)"),
        (None, "bob@example.com", "bob at example.com"),
        ("Bob@Example.com", "bob@example.com", "bob at example.com"),
        ("ceo@bank.example", "bob@example.com", "ceo at bank.example (bob at example.com)"),
        ("Zoë", "zoë@example.com", "Zoë (zo\\xeb at example.com)"),
        ("x" * 500, "bob@example.com", "x" * 80 + " (bob at example.com)"),
        (None, "b" * 64 + "@" + "d" * 60 + ".example", "b" * 64 + " at ddddddddd..."),
    ],
)
def test_shown(name: str | None, address: str, expected: str) -> None:
    assert shown(name, parse_loose(address)) == expected


def test_a_from_of_our_own_is_mapped_too() -> None:
    """An answer to it would otherwise show the mailbox to whoever is behind that alias."""
    field = _forwarded("From: second@alias.test\nTo: shop@alias.test\n").get("from")
    assert field is not None
    assert parse_list(field.value).entries[0].address == reverse_for(parse_loose("second@alias.test"))


def test_what_is_left_out_is_counted() -> None:
    text = "From: b@x.y\nTo: shop@alias.test, " + ", ".join(f"u{n}@x.y" for n in range(4999)) + "\n"
    headers = _forwarded(text)
    omitted, to = headers.get("x-postmask-omitted"), headers.get("to")
    assert omitted is not None
    assert omitted.text == "4950 addresses"
    assert to is not None
    assert len(parse_list(to.value).entries) == 50
    assert parse_list(to.value).entries[0].address == ALIAS


def test_what_is_not_even_read_is_said_too() -> None:
    headers = _forwarded("From: b@x.y\nTo: shop@alias.test\n" + ("To: " + "a@b.c," * 15_000 + "\n") * 8)
    omitted = headers.get("x-postmask-omitted")
    assert omitted is not None
    assert omitted.text.startswith("more than ")


def test_a_to_in_which_nothing_is_left() -> None:
    headers = _forwarded("From: b@x.y\nTo: c@x.y\nCc: d@x.y\n", limit=1)
    to = headers.get("to")
    assert to is not None
    assert to.value == b"undisclosed-recipients:;"
    assert headers.get("cc") is None


def test_the_alias_alone_in_to_keeps_its_octets() -> None:
    to = _forwarded('From: b@x.y\nTo:\t"My  Shop"\n <Shop@Alias.TEST>\n').get("to")
    assert to is not None
    assert to.raw == b'To:\t"My  Shop"\r\n <Shop@Alias.TEST>\r\n'


def test_of_two_fields_of_own_addresses_none_is_lost() -> None:
    to = _forwarded("From: b@x.y\nTo: shop@alias.test (d@x.y)\nTo: second@alias.test\n").get_all("to")
    assert [str(one.address) for field in to for one in parse_list(field.value).entries] == [
        "shop@alias.test",
        "second@alias.test",
    ]


def test_a_subject_with_the_prefix_is_tidy_too() -> None:
    context = ForwardContext(ALIAS, None, {}, own, to_owner, TRACE, AUTHSERV_ID, subject_prefix="[spam]")
    field = forward(_headers("From: b@x.y\nSubject: a\rb\0c\n"), context).get("subject")
    assert field is not None
    assert field.raw == b"Subject: [spam] a bc\r\n"


def test_signed_fields_of_the_message_stay_byte_for_byte() -> None:
    kept = (
        "Subject:  odd   blanks\n\tand folds \nDate: not a date\n"
        'MIME-Version: 1.0 (x)\nContent-Type: text/PLAIN; x="y"\n'
    )
    out = forwarded(("From: b@x.y\n" + kept).replace("\n", "\r\n").encode() + b"\r\n\0\xff\rbody")
    assert kept.replace("\n", "\r\n").encode() in out
    assert out.endswith(b"\r\n\r\n\0\xff\rbody")


@pytest.mark.parametrize(
    "name",
    [
        "Sender",
        "Return-Path",
        "Delivered-To",
        "Bcc",
        "DKIM-Signature",
        "Resent-To",
        "X-Postmask-Evidence",
        "X-Original-To",
        "Original-To",
        "Errors-To",
        "X-" + "a" * MAX_NAME,
    ],
)
def test_fields_of_the_former_journey_go(name: str) -> None:
    assert b"x@y.z" not in _forwarded(f"From: b@x.y\n{name}: x@y.z\n").to_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "Reply-To",
        "Mail-Followup-To",
        "Mail-Reply-To",
        "Mail-Copies-To",
        "Disposition-Notification-To",
        "Return-Receipt-To",
        "X-Confirm-Reading-To",
    ],
)
def test_whom_some_program_would_answer_becomes_a_reverse_alias(name: str) -> None:
    field = _forwarded(f"From: b@x.y\n{name}: c@x.y\n").get(name.lower())
    assert field is not None
    assert [one.address for one in parse_list(field.value).entries] == [reverse_for(parse_loose("c@x.y"))]


def test_the_traces_of_earlier_aliases_stay_behind_ours() -> None:
    """The newest, which stand first: what somebody pads a message with goes before them."""
    text = "".join(f"X-Postmask-Trace: {number}\n" for number in range(TRACES_KEPT + 5))
    ours, *others = _forwarded(f"{text}From: b@x.y\n").get_all("x-postmask-trace")
    assert ours.value.split() == TRACE.split()
    assert [int(one.value) for one in others] == list(range(TRACES_KEPT))


def test_a_message_id_is_made_where_there_is_none() -> None:
    for text in ("From: b@x.y\n", "From: b@x.y\nMessage-ID: \n", "From: b@x.y\nMessage-ID: <\n"):
        field = _forwarded(text).get("message-id")
        assert field is not None
        assert field.value.endswith(b"@alias.test>")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("<https://x.y/u>", "<https://x.y/u>"),
        ("<MAILTO:leave@x.y>", "<mailto:{}>"),
        ("<mailto:leave@x.y?cc=a@b.c&subject=x&To=d@e.f>", "<mailto:{}?subject=x>"),
        ("<mailto:leave@x.y?bcc=a@b.c&%66rom=d@e.f&reply-to=g@h.i>", "<mailto:{}>"),
        ("<mailto:leave@x.y,other@x.y>", "<mailto:{}>"),
        ("<mailto:leave@x.y?subject=é>", None),
        ("<mailto:>", None),
        ("<mailto:leave@x.y", None),
        ("mailto:leave@x.y", None),
        ("<mailto:leave@x.y>, <http://x.y/>", "<mailto:{}>, <http://x.y/>"),
        ("(NO)", "(NO)"),
    ],
)
def test_list_fields(value: str, expected: str | None) -> None:
    field = _forwarded(f"From: b@x.y\nList-Unsubscribe: {value}\n").get("list-unsubscribe")
    reverse = str(reverse_for(parse_loose("leave@x.y")))
    assert (field.value.decode() if field else None) == (expected.format(reverse) if expected else None)


def test_no_reverse_alias_for_the_author_falls_back_to_the_alias() -> None:
    context = ForwardContext(ALIAS, None, {}, own, to_owner, TRACE, AUTHSERV_ID)
    field = forward(_headers("From: Bob <b@x.y>\n"), context).get("from")
    assert field is not None
    assert field.value == b'"Bob (b at x.y)" <shop@alias.test>'


def test_envelope_sender_with_a_name() -> None:
    named = NamedAddress("Envelope", parse_loose("e@x.y"))
    assert author(_headers(""), named) == named


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("shop@alias.test, <evil@x.y (c)>", "shop@alias.test"),
        ("shop@alias.test, <e\0vil@x.y>", "shop@alias.test"),
        ("shop@alias.test, <evil@x..y>", "shop@alias.test"),
        ("shop@alias.test (evil@x.y)", '"evil at x.y" <shop@alias.test>'),
        ("evil@x.y <shop@alias.test>", '"evil at x.y" <shop@alias.test>'),
        ("=?utf-8?q?evil=40x=2Ey=2C?= <shop@alias.test>", '"evil at x.y," <shop@alias.test>'),
        ("The  shop  <shop@alias.test>", "The  shop  <shop@alias.test>"),
        ("shop@alias.test, evil\uff20x.y", "shop@alias.test"),
    ],
)
def test_nothing_that_could_be_one_address_more_stays_beside_the_owners_own(
    value: str, expected: str
) -> None:
    found = _forwarded(f"From: b@x.y\nReply-To: {value}\n").get("reply-to")
    assert found is not None
    assert found.raw.decode() == f"Reply-To: {expected}\r\n"


@pytest.mark.parametrize(
    "uri", ["mail\0to:u@x.y", "mail\n to:u@x.y", "mailto\n :u@x.y", "m\r\n\tailto:u@x.y"]
)
def test_a_mailto_that_is_hidden_from_us_is_not_there_for_others(uri: str) -> None:
    found = _forwarded(f"From: b@x.y\nList-Unsubscribe: <{uri}>\n").get("list-unsubscribe")
    assert found is None or b"u@x.y" not in found.raw


def test_a_mailto_in_an_encoded_word_goes() -> None:
    field = "List-Unsubscribe: <https://x.y/>, =?utf-8?q?=3Cmailto=3Au=40x=2Ey=3E?=\n"
    found = _forwarded(f"From: b@x.y\n{field}").get("list-unsubscribe")
    assert found is not None
    assert found.value == b"<https://x.y/>"


def test_results_of_others_stay_but_not_without_end() -> None:
    text = "From: b@x.y\n" + "Authentication-Results: other.test; spf=pass\n" * 3_000
    kept = _forwarded(text).get_all("authentication-results")
    assert kept[0].value == b"other.test; spf=pass"
    assert len(kept) == READ_LIMIT // len(kept[0].raw)
