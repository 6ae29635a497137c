"""SPAMC: what is asked, and what is made of answers, whole, cut, wrong and hostile."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.spam.engine import Facts
from postmask.spam.judgement import SYMBOL_LENGTH, SYMBOLS, EngineError, Kind, Reason, Score
from postmask.spam.spamc import BODY_LIMIT, HEAD_LIMIT, Spamd, trace_fields
from spam_readers import chunked, outcome

CONTENT = b"Subject: x\r\n\r\nhello\r\n"
NOTHING = Facts()


def answer(spam: bytes = b"False ; 1.3 / 5.0", body: bytes = b"A,B", length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return b"SPAMD/1.1 0 EX_OK\r\nContent-length: %d\r\nSpam: %s\r\n\r\n%s" % (size, spam, body)


def judged(octets: bytes, size: int = 4096) -> Score | Reason:
    return outcome(Spamd().check(CONTENT, NOTHING).reader, chunked(octets, size))


class TestQuestions:
    def test_symbols_with_the_exact_length(self) -> None:
        question = Spamd().check(CONTENT, NOTHING)
        assert b"".join(question.parts) == (
            b"SYMBOLS SPAMC/1.5\r\nContent-length: %d\r\n\r\n%s" % (len(CONTENT), CONTENT)
        )
        assert question.half_close

    @pytest.mark.parametrize("ending", [b"", b"\r", b"\n", b"\r\n"])
    def test_it_always_ends_in_crlf(self, ending: bytes) -> None:
        sent = b"".join(Spamd().check(b"Subject: x\r\n\r\nhello" + ending, NOTHING).parts)
        assert sent.endswith(b"Content-length: 21\r\n\r\nSubject: x\r\n\r\nhello\r\n")

    def test_an_empty_message_too(self) -> None:
        assert b"".join(Spamd().check(b"", NOTHING).parts).endswith(b"Content-length: 2\r\n\r\n\r\n")

    def test_the_trace_counts_in_the_length(self) -> None:
        facts = Facts(
            client="198.51.100.7",
            client_name="mail.example.com",
            helo="helo.example.com",
            sender="alice@example.com",
            host="mx.host.test",
            queue_id="4C68",
            at=0.0,
            traced=False,
        )
        trace = (
            b"Return-Path: <alice@example.com>\r\n"
            b"Received: from helo.example.com (mail.example.com [198.51.100.7])\r\n"
            b"\tby mx.host.test (Postfix) with ESMTP id 4C68;\r\n"
            b"\tThu, 01 Jan 1970 00:00:00 -0000\r\n"
        )
        assert trace_fields(facts) == trace
        sent = b"".join(Spamd().check(CONTENT, facts).parts)
        assert sent.endswith(b"Content-length: %d\r\n\r\n%s%s" % (len(trace + CONTENT), trace, CONTENT))

    def test_nothing_is_made_up(self) -> None:
        assert trace_fields(Facts(client="192.0.2.1", traced=True)) == b""
        assert trace_fields(Facts(traced=False)) == b""
        assert trace_fields(Facts(sender="")) == b"Return-Path: <>\r\n"

    def test_a_login_and_ipv6(self) -> None:
        trace = trace_fields(Facts(client="2001:db8::1", login="me", traced=False))
        assert b"from unknown (unknown [IPv6:2001:db8::1])\r\n" in trace
        assert b"with ESMTPA id" in trace
        assert b"me" not in trace.replace(b"unknown", b"")

    @given(st.text(), st.text(), st.text(), st.text())
    def test_no_name_adds_a_line(self, helo: str, name: str, sender: str, queue_id: str) -> None:
        facts = Facts(
            client="192.0.2.1", client_name=name, helo=helo, sender=sender, queue_id=queue_id, traced=False
        )
        lines = trace_fields(facts).split(b"\r\n")
        assert [line.split(b" ")[0] for line in lines][-4:-1] == [b"Received:", b"\tby", b"\tThu,"]
        assert len(lines) == 4 + lines[0].startswith(b"Return-Path: <")
        assert not any(b"\n" in line or b"\r" in line for line in lines)

    @pytest.mark.parametrize("kind", Kind)
    def test_a_report(self, kind: Kind) -> None:
        forgetting, question = Spamd().learn(CONTENT, kind)
        assert forgetting.parts[0].startswith(b"TELL SPAMC/1.5\r\nRemove: local\r\nContent-length: ")
        assert outcome(forgetting.reader, [b"SPAMD/1.1 0 EX_OK\r\n\r\n\r\n"]) is True
        assert question.parts[0] == (
            b"TELL SPAMC/1.5\r\nMessage-class: %s\r\nSet: local\r\nContent-length: %d\r\n\r\n"
            % (kind.encode(), len(CONTENT))
        )
        assert question.half_close
        assert outcome(question.reader, [b"SPAMD/1.1 0 EX_OK\r\nDidSet: lo", b"cal\r\n\r\n\r\n"]) is True

    def test_one_that_learns_nothing_says_no_more_than_that_it_is_well(self) -> None:
        question = Spamd().learn(CONTENT, Kind.SPAM)[1]
        assert question.reader.feed(b"SPAMD/1.1 0 EX_OK\r\n") is None
        with pytest.raises(EngineError, match="learned nothing: is Bayes on"):
            question.reader.feed(b"\r\n\r\n")

    def test_a_ping(self) -> None:
        question = Spamd().ping()
        assert b"".join(question.parts) == b"PING SPAMC/1.5\r\nContent-length: 0\r\n\r\n"
        assert outcome(question.reader, [b"SPAMD/1.5 0 PO", b"NG\r\n"]) is True


class TestAnswers:
    @pytest.mark.parametrize("size", [1, 16, 128, 4096])
    @pytest.mark.parametrize(
        ("field", "score"),
        [
            (b"False ; 1.3 / 5.0", Score(1.3, 5.0, ("A", "B"))),
            (b"True ; 1001.3 / 5.0", Score(1001.3, 5.0, ("A", "B"))),
            (b"False ; -3.2 / 5.0", Score(-3.2, 5.0, ("A", "B"))),
            (b"Yes ; 7 / 6", Score(7.0, 6.0, ("A", "B"))),
            (b"False ; 5.0 / 5.0", Score(5.0, 5.0, ("A", "B"))),
        ],
    )
    def test_scores(self, size: int, field: bytes, score: Score) -> None:
        assert judged(answer(field), size) == score

    def test_no_symbols(self) -> None:
        assert judged(answer(body=b"")) == Score(1.3, 5.0)

    def test_symbols_are_bounded_and_printable(self) -> None:
        names = [b"X" * 200, b"bad name", b"\xff", b"", b"GOOD\r\n", *(b"N%d" % n for n in range(200))]
        found = judged(answer(body=b",".join(names)))
        assert isinstance(found, Score)
        assert found.symbols[:3] == ("X" * SYMBOL_LENGTH, "GOOD", "N0")
        assert len(found.symbols) == SYMBOLS

    @pytest.mark.parametrize(
        ("octets", "reason"),
        [
            (b"", Reason.HALF_ANSWER),
            (b"SPAMD/1.1", Reason.HALF_ANSWER),
            (answer()[:-1], Reason.HALF_ANSWER),
            (answer(length=4), Reason.HALF_ANSWER),
            (answer().partition(b"\r\n\r\n")[0], Reason.HALF_ANSWER),
            (answer().partition(b"\r\n\r\n")[0] + b"\r\n\r\n", Reason.HALF_ANSWER),
            (b"HTTP/1.1 200 OK\r\n", Reason.NONSENSE),
            (b"\r\n", Reason.NONSENSE),
            (b"SPAMD/1.1 zero EX_OK\r\n", Reason.NONSENSE),
            (answer().replace(b"Content-length: 3\r\n", b""), Reason.NONSENSE),
            (answer().replace(b"th: 3", b"th: -3"), Reason.NONSENSE),
            (answer().replace(b"th: 3", b"th: 3\r\nContent-length: 3"), Reason.NONSENSE),
            (answer().replace(b"Spam", b"Ham"), Reason.NONSENSE),
            (answer(b"Maybe ; 1.0 / 5.0"), Reason.NONSENSE),
            (answer(b"True ; 1.0 / 5.0"), Reason.NONSENSE),
            (answer(b"False ; 9.0 / 5.0"), Reason.NONSENSE),
            (answer(b"False ; nan / 5.0"), Reason.NO_NUMBER),
            (answer(b"False ; -inf / 5.0"), Reason.NO_NUMBER),
            (answer(b"False ; 1e999 / 5.0"), Reason.NO_NUMBER),
            (answer(b"False ; 1.0 / nan"), Reason.NO_NUMBER),
            (answer(b"True ; 1.0 / 0.0"), Reason.NO_NUMBER),
            (answer(b"False ; 1_0 / 50"), Reason.NO_NUMBER),
            (answer(length=BODY_LIMIT + 1), Reason.HUGE_ANSWER),
            (b"SPAMD/1.1 0 " + b"x" * HEAD_LIMIT, Reason.HUGE_ANSWER),
            (b"SPAMD/1.1 0 EX_OK\r\n" + b"a: b\r\n" * HEAD_LIMIT, Reason.HUGE_ANSWER),
            (b"SPAMD/1.0 76 Bad header line: Content-Length mismatch\r\n", Reason.ERROR_STATUS),
            (b"SPAMD/1.1 75 EX_TEMPFAIL\r\n", Reason.ERROR_STATUS),
        ],
        ids=lambda value: value[:40] if isinstance(value, bytes) else str(value),
    )
    @pytest.mark.parametrize("size", [1, 16, 128, 4096])
    def test_errors(self, octets: bytes, reason: Reason, size: int) -> None:
        assert judged(octets, size) == reason

    def test_more_than_it_announced(self) -> None:
        assert judged(answer(length=2)) == Reason.NONSENSE

    def test_the_engine_s_words_come_along(self) -> None:
        reader = Spamd().learn(CONTENT, Kind.SPAM)[1].reader
        with pytest.raises(EngineError, match="69 Service Unavailable: TELL commands are not enabled"):
            reader.feed(b"SPAMD/1.1 69 Service Unavailable: TELL commands are not enabled\r\n")

    @given(st.binary(max_size=400), st.integers(1, 50))
    def test_any_octets_are_an_error(self, octets: bytes, size: int) -> None:
        assert isinstance(judged(octets, size), Reason)
        assert isinstance(judged(b"SPAMD/1.1 0 EX_OK\r\n" + octets, size), Reason)

    @given(st.data())
    def test_a_damaged_answer_is_never_taken_for_ham(self, data: st.DataObject) -> None:
        """Of spam: cut anywhere, or with an octet of its status line or names exchanged."""
        whole = answer(b"True ; 12.5 / 5.0")
        cut = data.draw(st.integers(0, len(whole) - 1))
        assert isinstance(judged(whole[:cut]), Reason)
        place = data.draw(st.integers(0, len(whole) - 1))
        octet = data.draw(st.binary(min_size=1, max_size=1))
        found = judged(whole[:place] + octet + whole[place + 1 :], data.draw(st.integers(1, 99)))
        assert isinstance(found, Reason) or found.ratio >= 1
