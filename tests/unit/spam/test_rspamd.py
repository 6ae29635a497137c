"""Rspamd's HTTP: what is asked, and what is made of answers, whole, cut, wrong and hostile."""

from __future__ import annotations

import json
from typing import Any

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.spam.engine import Facts
from postmask.spam.judgement import SYMBOLS, Kind, Reason, Score
from postmask.spam.rspamd import BODY_LIMIT, HEAD_LIMIT, Rspamd
from spam_readers import chunked, outcome

CONTENT = b"Subject: x\r\n\r\nhello\r\n"
GOOD = {
    "is_skipped": False,
    "score": 3.4,
    "required_score": 15.0,
    "action": "no action",
    "symbols": {"LIGHT": {"score": -0.1}, "HEAVY": {"score": 2.5}, "NONE": {"score": 0.0}},
}


def answer(body: bytes | dict[str, Any], status: bytes = b"200 OK", head: bytes | None = None) -> bytes:
    octets = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = head if head is not None else b"Content-Length: %d\r\n" % len(octets)
    return b"HTTP/1.1 %s\r\nConnection: close\r\nServer: rspamd/3.4\r\n%s\r\n%s" % (status, fields, octets)


def judged(octets: bytes, size: int = 4096) -> Score | Reason:
    return outcome(Rspamd().check(CONTENT, Facts()).reader, chunked(octets, size))


def request(parts: tuple[bytes, ...]) -> tuple[h11.Request, bytes]:
    """As a server understands it."""
    server = h11.Connection(h11.SERVER, max_incomplete_event_size=100_000)
    server.receive_data(b"".join(parts))
    head = server.next_event()
    assert isinstance(head, h11.Request)
    body = b""
    while isinstance(event := server.next_event(), h11.Data):
        body += event.data
    assert isinstance(event, h11.EndOfMessage)
    assert server.trailing_data[0] == b""
    return head, body


class TestQuestions:
    def test_envelope_and_client_go_along(self) -> None:
        facts = Facts(
            client="2001:db8::7",
            client_name="mail.example.com",
            helo="helo.example.com",
            login="me",
            sender="alice@example.com",
            recipients=("bob@example.org", "jürgen@example.org"),
            host="mx.host.test",
            queue_id="4C68",
        )
        head, body = request(Rspamd("s3cret").check(CONTENT, facts).parts)
        assert (head.method, head.target, body) == (b"POST", b"/checkv2", CONTENT)
        assert [pair for pair in head.headers.raw_items() if pair[0] not in {b"Host", b"Connection"}] == [
            (b"Content-Length", b"21"),
            (b"Password", b"s3cret"),
            (b"IP", b"2001:db8::7"),
            (b"Helo", b"helo.example.com"),
            (b"Hostname", b"mail.example.com"),
            (b"User", b"me"),
            (b"From", b"<alice@example.com>"),
            (b"Rcpt", b"<bob@example.org>"),
            (b"Rcpt", "<jürgen@example.org>".encode()),
            (b"Queue-Id", b"4C68"),
            (b"MTA-Name", b"mx.host.test"),
        ]

    def test_what_is_unknown_is_left_out(self) -> None:
        head, _ = request(Rspamd().check(CONTENT, Facts()).parts)
        assert [name for name, _ in head.headers] == [b"host", b"connection", b"content-length"]

    def test_the_null_sender(self) -> None:
        head, _ = request(Rspamd().check(CONTENT, Facts(sender="")).parts)
        assert (b"from", b"<>") in list(head.headers)

    def test_recipients_are_bounded(self) -> None:
        facts = Facts(recipients=tuple(f"{number}@example.org" for number in range(1_000)))
        head, _ = request(Rspamd().check(CONTENT, facts).parts)
        assert sum(name == b"rcpt" for name, _ in head.headers) == 100

    @given(st.text(), st.text(), st.text())
    def test_no_value_adds_a_field(self, helo: str, sender: str, login: str) -> None:
        facts = Facts(helo=helo, sender=sender, login=login)
        head, body = request(Rspamd().check(CONTENT, facts).parts)
        assert body == CONTENT
        names = [name for name, _ in head.headers]
        assert names[:3] == [b"host", b"connection", b"content-length"]
        assert len(names) == len({*names})
        assert {*names[3:]} <= {b"helo", b"from", b"user"}

    @pytest.mark.parametrize("kind", Kind)
    def test_a_report(self, kind: Kind) -> None:
        (question,) = Rspamd("s3cret").learn(b"x", kind)
        head, body = request(question.parts)
        assert (head.method, head.target, body) == (b"POST", b"/learn" + kind.encode(), b"x\r\n")
        assert (b"password", b"s3cret") in list(head.headers)
        for status in (b"200 OK", b"208 Already Reported"):
            (again,) = Rspamd().learn(b"x", kind)
            assert outcome(again.reader, [answer({"success": True}, status)]) is True
        (again,) = Rspamd().learn(b"x", kind)
        assert outcome(again.reader, [answer(b"", b"204 Denied", head=b"")]) is True
        assert outcome(question.reader, [answer({}, b"403 Forbidden")]) == Reason.ERROR_STATUS

    def test_a_ping(self) -> None:
        question = Rspamd().ping()
        head, body = request(question.parts)
        assert (head.method, head.target, body) == (b"GET", b"/ping", b"")
        assert outcome(question.reader, [answer(b"pong\r\n")]) is True


class TestAnswers:
    @pytest.mark.parametrize("size", [1, 16, 128, 4096])
    def test_a_score_with_its_heaviest_symbols_first(self, size: int) -> None:
        assert judged(answer(GOOD), size) == Score(3.4, 15.0, ("HEAVY", "LIGHT", "NONE"))

    def test_chunked(self) -> None:
        body = json.dumps(GOOD).encode()
        octets = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        assert judged(answer(octets, head=b"Transfer-Encoding: chunked\r\n")) == judged(answer(GOOD))

    def test_what_it_cut_short_itself_as_spam_is_judged(self) -> None:
        gtube = {"is_skipped": True, "score": 15.0, "required_score": 15.0, "symbols": {"GTUBE": {}}}
        assert judged(answer(gtube)) == Score(15.0, 15.0, ("GTUBE",))

    def test_symbols_are_bounded(self) -> None:
        many = {f"S{number}": {"score": number} for number in range(500)}
        found = judged(answer({**GOOD, "symbols": {**many, "bad\nname": {"score": 9e9}}}))
        assert isinstance(found, Score)
        assert len(found.symbols) == SYMBOLS
        assert found.symbols[0] == "S499"

    @pytest.mark.parametrize(
        ("octets", "reason"),
        [
            (b"", Reason.HALF_ANSWER),
            (answer(GOOD)[:-1], Reason.HALF_ANSWER),
            (answer(GOOD)[:30], Reason.HALF_ANSWER),
            (b"SPAMD/1.1 0 EX_OK\r\n\r\n", Reason.NONSENSE),
            (b"HTTP/1.1 banana\r\n\r\n", Reason.NONSENSE),
            (answer(GOOD, head=b""), Reason.NONSENSE),
            (answer(GOOD, head=b"Content-Length: x\r\n"), Reason.NONSENSE),
            (answer(GOOD) + b"more", Reason.NONSENSE),
            (answer(b"{}{}"), Reason.NONSENSE),
            (answer(b""), Reason.NONSENSE),
            (answer(b"[]"), Reason.NONSENSE),
            (answer(b"[" * 100_000), Reason.NONSENSE),
            (answer(b'{"score": ' + b"1" * 5_000 + b"}"), Reason.NONSENSE),
            (answer({**GOOD, "symbols": [1]}), Reason.NONSENSE),
            (answer({"symbols": {}}), Reason.NO_NUMBER),
            (answer({**GOOD, "score": float("nan")}), Reason.NO_NUMBER),
            (answer({**GOOD, "score": float("-inf")}), Reason.NO_NUMBER),
            (answer({**GOOD, "score": 10**400}), Reason.NO_NUMBER),
            (answer(json.dumps(GOOD).replace("3.4", "1e999").encode()), Reason.NO_NUMBER),
            (answer({**GOOD, "score": "3.4"}), Reason.NO_NUMBER),
            (answer({**GOOD, "score": True}), Reason.NO_NUMBER),
            (answer({**GOOD, "required_score": 0}), Reason.NO_NUMBER),
            (answer({**GOOD, "required_score": -1.0}), Reason.NO_NUMBER),
            (answer({**GOOD, "required_score": None}), Reason.NO_NUMBER),
            (answer({**GOOD, "required_score": 5e-324, "score": 1e9}), Reason.NO_NUMBER),
            (answer({**GOOD, "is_skipped": True}), Reason.NOT_SCANNED),
            (answer({name: GOOD[name] for name in GOOD if name != "is_skipped"}), Reason.NOT_SCANNED),
            (answer(b"x" * 10, head=b"Content-Length: %d\r\n" % (BODY_LIMIT + 1)), Reason.HUGE_ANSWER),
            (
                answer(b"fffffff\r\n" + b"x" * (BODY_LIMIT + 1), head=b"Transfer-Encoding: chunked\r\n"),
                Reason.HUGE_ANSWER,
            ),
            (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3 * HEAD_LIMIT, Reason.HUGE_ANSWER),
            (answer({}, b"500 Internal Server Error"), Reason.ERROR_STATUS),
            (answer({}, b"403 Unauthorized"), Reason.ERROR_STATUS),
            (answer(GOOD, b"208 Already"), Reason.ERROR_STATUS),
        ],
        ids=range(33),
    )
    @pytest.mark.parametrize("size", [16, 128, 4096])
    def test_errors(self, octets: bytes, reason: Reason, size: int) -> None:
        assert judged(octets, size) == reason

    @given(st.binary(max_size=400), st.integers(1, 50))
    def test_any_octets_are_an_error(self, octets: bytes, size: int) -> None:
        assert isinstance(judged(octets, size), Reason)
        assert isinstance(judged(b"HTTP/1.1 200 OK\r\n" + octets, size), Reason)
        assert isinstance(judged(answer(octets), size), Reason)

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
            lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
            max_leaves=8,
        ),
        st.sampled_from(sorted(GOOD)),
    )
    def test_any_value_in_any_place(self, value: Any, key: str) -> None:
        found = judged(answer({**GOOD, key: value}))
        if isinstance(found, Score) and found.ratio < 1 and key in {"score", "required_score"}:
            assert isinstance(value, int | float)

    @given(st.data())
    def test_a_damaged_answer_of_spam_is_never_taken_for_ham(self, data: st.DataObject) -> None:
        """Cut anywhere, or with an octet outside its numbers exchanged."""
        whole = answer({**GOOD, "score": 31.25})
        cut = data.draw(st.integers(0, len(whole) - 1))
        assert isinstance(judged(whole[:cut]), Reason)
        numbers = range(whole.index(b'"score"'), whole.index(b'"action"'))
        place = data.draw(st.integers(0, len(whole) - 1).filter(lambda at: at not in numbers))
        octet = data.draw(st.binary(min_size=1, max_size=1))
        found = judged(whole[:place] + octet + whole[place + 1 :], data.draw(st.integers(1, 99)))
        assert isinstance(found, Reason) or found.ratio >= 1
