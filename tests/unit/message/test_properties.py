"""What holds for every message, name, address and id."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from message_cases import ALIAS, KEYS, OWNERS, forwarded, own, replied, to_contact, to_owner
from message_strategies import addresses, bodies, fields, messages, named, names, values
from postmask.address import Address
from postmask.message.dsn import Dsn, NotDsn, parse
from postmask.message.forward import shown
from postmask.message.headers import Headers, make_field, split, tidy
from postmask.message.identity import message_digest
from postmask.message.lines import fold_long
from postmask.message.mailboxes import clean_name, format_list, parse_list
from postmask.message.mime import walk
from postmask.message.msgid import LIMIT
from postmask.message.trace import Trace, open_trace, seal_trace
from postmask.message.words import decode, encode

_CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes says nothing on a busy machine; test_hostile is about time."""

_ID = st.text(st.characters(min_codepoint=33, max_codepoint=126, blacklist_characters="<>"), min_size=1)
_MAPPED = ("from", "to", "cc", "reply-to", "disposition-notification-to")


def _sound(header: Headers) -> None:
    """No mail server would change it, or take it for more or fewer fields."""
    raw = header.to_bytes()
    assert b"\0" not in raw
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
    assert not re.search(rb"\n[ \t]+\r\n", raw)
    again, body = split(raw + b"\r\nbody")
    assert [field.raw for field in again.fields] == [field.raw for field in header.fields]
    assert body == b"body"


@_CALM
@given(messages)
def test_split_loses_nothing(data: bytes) -> None:
    headers, body = split(data)
    raw = headers.to_bytes()
    assert data.endswith(body)
    head = data[: len(data) - len(body)]
    assert raw + b"\r\n" == head + b"\r\n" or head in (raw, raw + b"\r\n", raw + b"\n", raw[:-2])


@_CALM
@given(fields)
def test_tidy_is_sound_and_does_no_more_the_second_time(raw: bytes) -> None:
    for field in (field for field in split(raw)[0].fields if field.key):
        mended = tidy(field)
        _sound(Headers([mended]))
        assert tidy(mended) is mended


@_CALM
@given(st.text(max_size=300))
def test_made_fields_are_read_again(text: str) -> None:
    field = make_field("Subject", text)
    expected = " ".join(text.split())
    assert field.text == expected.encode("utf-8", "replace").decode()
    assert len(split(field.raw + b"\r\n")[0].fields) == 1


@_CALM
@given(st.text(max_size=200))
def test_encoded_words_are_read_again(text: str) -> None:
    assert decode(" ".join(encode(text))) == text.encode("utf-8", "replace").decode()


@_CALM
@given(st.binary(max_size=300))
def test_any_text_is_decoded(data: bytes) -> None:
    decode(data.decode("latin-1"))


@_CALM
@given(st.lists(named, min_size=1, max_size=6))
def test_lists_are_read_again(entries: list) -> None:  # type: ignore[type-arg]
    field = format_list("To", entries)
    _sound(Headers([field]))
    found = parse_list(field.value).entries
    assert [entry.address for entry in found] == [entry.address for entry in entries]
    assert [entry.name for entry in found] == [clean_name(entry.name or "") or None for entry in entries]


@_CALM
@given(values)
def test_any_list_is_parsed(value: bytes) -> None:
    for entry in parse_list(value).entries:
        assert "@" in entry.address.key


@_CALM
@given(names, addresses)
@example("0\x85\x1b 0", Address("0", "0.example"))
def test_a_shown_name_is_one_harmless_line(name: str, address: Address) -> None:
    text = shown(name, address)
    assert "@" not in text
    assert text == clean_name(text)
    assert len(text) <= 200


@_CALM
@given(messages)
def test_forward(data: bytes) -> None:
    out, body = split(forwarded(data))
    assert body == split(data)[1]
    _sound(out)
    for name in ("from", "message-id"):
        assert len(out.get_all(name)) == 1
    assert out.fields[0].key == b"x-postmask-trace"
    for name in _MAPPED:
        assert len(out.get_all(name)) <= 1
        for field in out.get_all(name):
            for entry in parse_list(field.value).entries:
                assert entry.address == ALIAS or own(entry.address) or _is_reverse(str(entry.address)), entry


def _is_reverse(address: str) -> bool:
    return re.fullmatch(r"[a-z0-9][a-z0-9-]*\.[a-z2-7]{24}@alias\.test", address) is not None


@_CALM
@given(messages)
def test_reply(data: bytes) -> None:
    result = replied(data)
    _sound(result.headers)
    for name in ("from", "message-id", "to"):
        assert len(result.headers.get_all(name)) == 1
    if result.findings:
        return
    out = (result.headers.to_bytes() + result.body).lower()
    for owner in OWNERS:
        assert not re.search(rb"(?<![a-z0-9._+-])" + re.escape(owner.encode()) + rb"(?![a-z0-9.-])", out)


@_CALM
@given(bodies)
def test_parts_lie_in_the_body_one_behind_the_other(body: bytes) -> None:
    headers, _ = split(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n")
    position = 0
    for part in walk(headers, body).parts:
        assert 0 <= part.start <= part.end <= len(body)
        if not part.holds_parts:
            assert part.start >= position
            position = part.end
            part.content(body)


@_CALM
@given(st.binary(max_size=3000))
def test_folded_lines_are_short_and_hold_the_same(body: bytes) -> None:
    body = body.replace(b"\n", b"\r\n") * 2
    folded = fold_long(body)
    assert all(len(line) <= 998 for line in folded.split(b"\r\n"))
    assert folded.replace(b"\r\n ", b"") == body.replace(b"\r\n ", b"")


@_CALM
@given(_ID)
def test_an_id_comes_home(text: str) -> None:
    message_id = f"<{text}>".encode()
    for there, back in ((to_owner, to_contact), (to_contact, to_owner)):
        wrapped = there(message_id)
        assert len(wrapped) <= LIMIT
        assert there(wrapped) == wrapped or len(text) > 100
        assert back(wrapped) == message_id or len(text) > 100


@_CALM
@given(st.binary(max_size=300))
def test_any_id_is_carried(message_id: bytes) -> None:
    assert len(to_owner(message_id)) <= LIMIT
    assert len(to_contact(message_id)) <= LIMIT


@_CALM
@given(st.text(), st.text(), st.booleans(), st.integers(0, 2**40), st.integers(0, 2**48))
def test_a_trace_comes_home(queue_id: str, sender: str, authenticated: bool, at: int, alias_id: int) -> None:
    queue_id, sender = (text.encode("utf-8", "replace").decode() for text in (queue_id, sender))
    trace = Trace(queue_id, sender[:254], authenticated, at, alias_id)
    if len(seal_trace(KEYS, trace)) <= 4096:
        assert open_trace(KEYS, seal_trace(KEYS, trace)) == trace


@_CALM
@given(st.binary(max_size=200))
def test_a_made_up_trace_never_opens(value: bytes) -> None:
    assert open_trace(KEYS, value) is None


@_CALM
@given(messages)
def test_dsn(data: bytes) -> None:
    found = parse(*split(data))
    assert isinstance(found, NotDsn) or found.status
    assert isinstance(found, Dsn | NotDsn)


@_CALM
@given(messages, st.integers(0, 3))
def test_a_requeue_never_changes_the_digest(data: bytes, times: int) -> None:
    requeued = b"Received: by mx (Postfix, from userid 106)\r\n\tid ABC; Mon, 04 Jan 2027 10:00:00 +0000\r\n"
    assert message_digest(requeued * times + data, 106) == message_digest(data, 106)
