"""The policy protocol: requests found however they are cut up, hostile octets, answers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.verdict import defer, deliver, discard, hold, reject
from postmask_milter.policy import LIMIT, Malformed, RequestReader, answer

# As Postfix 3.7 sends it, at RCPT.
DIALOGUE = (
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\n"
    b"client_address=192.0.2.1\nclient_name=mail.example\nhelo_name=mail.example\n"
    b"sender=bob@example.com\nrecipient=shop@alias.example\nrecipient_count=0\nqueue_id=\n"
    b"instance=123.456.7\nsize=0\netrn_domain=\nstress=\nsasl_method=\n\n"
    b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=\n"
    b"recipient=b\xc3\xbccher@alias.example\nqueue_id=4XyZ\nhelo_name=a=b=c\n\n"
)

ATTRIBUTE = st.tuples(
    st.text(st.characters(codec="ascii", exclude_characters="\n\0="), min_size=1, max_size=20),
    st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=60),
)


def replay(data: bytes, size: int) -> list[dict[str, str]]:
    reader = RequestReader()
    found = []
    for at in range(0, len(data), size):
        found += [request.attributes for request in reader.receive(data[at : at + size])]
    assert not reader.begun
    return found


@pytest.mark.parametrize("size", [4096, 128, 16, 1])
def test_a_dialogue_reads_the_same_at_every_buffer_size(size: int) -> None:
    first, second = replay(DIALOGUE, size)
    assert first["recipient"] == "shop@alias.example"
    assert first["queue_id"] == ""
    assert len(first) == 15
    assert second["recipient"] == "bücher@alias.example"
    assert second["sender"] == ""
    assert second["helo_name"] == "a=b=c"


@given(
    st.lists(st.lists(ATTRIBUTE, unique_by=lambda pair: pair[0], max_size=8), max_size=4), st.integers(1, 50)
)
def test_whatever_is_sent_is_found(requests: list[list[tuple[str, str]]], size: int) -> None:
    data = b"".join(
        b"".join(f"{name}={value}\n".encode() for name, value in request) + b"\n" for request in requests
    )
    assert replay(data, size) == [dict(request) for request in requests]


@given(st.binary(max_size=300), st.integers(1, 64))
def test_any_octets_end_in_requests_or_malformed(data: bytes, size: int) -> None:
    reader = RequestReader()
    try:
        for at in range(0, len(data), size):
            for request in reader.receive(data[at : at + size]):
                assert all("\n" not in value for value in request.attributes.values())
    except Malformed:
        pass


def test_octets_that_are_no_utf8_survive_as_surrogates() -> None:
    (request,) = replay(b"sender=\xff\xfe@x\n\n", 4096)
    assert request["sender"].encode("utf-8", "surrogateescape") == b"\xff\xfe@x"


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"recipient=a\0b\n\n", "NUL"),
        (b"GET / HTTP/1.1\n\n", "not name=value"),
        (b"=value\n\n", "not name=value"),
        (b"recipient=a\nrecipient=b\n\n", "two values"),
        (b"a=" + b"x" * 1_000_000, "more than"),
        (b"a=" + b"x" * LIMIT + b"\n\n", "more than"),
        (b"a=b\n" * 20_000, "more than"),
    ],
    ids=["nul", "http", "no-name", "twice", "no-terminator", "too-long", "too-many"],
)
@pytest.mark.parametrize("size", [4096, 1 << 20])
def test_what_is_no_request_is_malformed(data: bytes, complaint: str, size: int) -> None:
    with pytest.raises(Malformed, match=complaint):
        replay(data, size)


def test_an_unfinished_request_is_known_to_have_begun() -> None:
    reader = RequestReader()
    assert not reader.begun
    assert list(reader.receive(b"request=smtpd")) == []
    assert reader.begun


@pytest.mark.parametrize("verdict", [None, deliver(), discard("why"), hold("why")])
def test_what_is_accepted_or_not_ours_is_dunno(verdict: object) -> None:
    assert answer(verdict) == b"action=DUNNO\n\n"  # type: ignore[arg-type]


def test_refusals_are_said_with_code_status_and_text() -> None:
    assert answer(reject("5.1.1", "no such address")) == b"action=550 5.1.1 no such address\n\n"
    assert answer(defer("4.2.1", "later")) == b"action=450 4.2.1 later\n\n"
    assert answer(defer("4.3.0", "later")) == b"action=451 4.3.0 later\n\n"
