"""The LMTP dialogue, replayed without sockets at several buffer sizes."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postmask.verdict import MARK, Verdict, defer, deliver, reject
from postmask_transport.lmtp_events import (
    Client,
    Closing,
    Envelope,
    Limits,
    MessageGiven,
    TooLarge,
)
from postmask_transport.lmtp_protocol import FAULT_LIMIT, LINE_LIMIT, Session

NO_LIMITS = Limits()
SIZES = (1, 2, 3, 16, 128, 4096, 1 << 20)


class Replay:
    """Feeds octets in pieces of one size and answers what is asked."""

    def __init__(self, limits: Limits = NO_LIMITS, verdicts: Sequence[Verdict] | None = None) -> None:
        self.session = Session("mx.example", limits)
        self.session.greet()
        self.verdicts = verdicts
        self.messages: list[MessageGiven] = []
        self.too_large: list[TooLarge] = []
        self.output = b""
        self.closed = False

    def feed(self, data: bytes, size: int = 4096) -> "Replay":
        for start in range(0, max(1, len(data)), size):
            self.session.receive(data[start : start + size])
            self._answer()
        return self

    def _answer(self) -> None:
        while not self.closed and (event := self.session.next_event()) is not None:
            match event:
                case MessageGiven():
                    self.messages.append(event)
                    self.session.answer_message(
                        self.verdicts or [deliver() for _ in event.envelope.recipients]
                    )
                case TooLarge():
                    self.too_large.append(event)
                case Closing():
                    self.closed = True
            self.output += self.session.take_output()
        self.output += self.session.take_output()

    @property
    def codes(self) -> list[str]:
        """The replies' codes; of a reply of several lines the last."""
        return [line[:3].decode() for line in self.output.splitlines() if line[3:4] == b" "]


def begin(recipients: int = 1) -> bytes:
    to = b"".join(b"RCPT TO:<r%d@alias.example>\r\n" % number for number in range(recipients))
    return b"LHLO mx\r\nMAIL FROM:<s@example.com>\r\n" + to + b"DATA\r\n"


@pytest.mark.parametrize("size", SIZES)
def test_a_whole_session(size: int) -> None:
    replay = Replay(verdicts=[deliver(), reject("5.1.1", "no such alias"), defer("4.2.1", "later")])
    replay.feed(
        b"LHLO mx\r\n"
        b"XFORWARD NAME=host.example ADDR=192.0.2.1 PORT=2525 PROTO=ESMTP\r\n"
        b"XFORWARD HELO=helo.example IDENT=4bXyZ SOURCE=REMOTE LOGIN=user+40example.com\r\n"
        b"MAIL FROM:<s@example.com> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n"
        b"RCPT TO:<a@alias.example>\r\nRCPT TO:<b@alias.example>\r\nRCPT TO:<c@alias.example>\r\n"
        b"DATA\r\nSubject: x\r\n\r\n..\r\n.a\r\n.\r\n"
        b"MAIL FROM:<>\r\nRSET\r\nQUIT\r\n",
        size,
    )
    client = Client(
        "192.0.2.1", "host.example", "helo.example", "2525", "ESMTP", "user@example.com", "4bXyZ", "REMOTE"
    )
    envelope = Envelope(
        "s@example.com", ("a@alias.example", "b@alias.example", "c@alias.example"), True, "8BITMIME", client
    )
    assert replay.messages == [MessageGiven(envelope, b"Subject: x\r\n\r\n.\r\na\r\n")]
    lines = replay.output.decode().splitlines()
    assert lines[0] == "220 mx.example LMTP Postmask"
    assert lines[1:8] == [
        "250-mx.example",
        "250-PIPELINING",
        "250-8BITMIME",
        "250-SMTPUTF8",
        "250-ENHANCEDSTATUSCODES",
        "250-SIZE",
        "250 XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE",
    ]
    assert lines[-6:] == [
        "250 2.1.5 ok",
        f"550 5.1.1 {MARK}no such alias",
        "450 4.2.1 later",
        "250 2.1.0 ok",
        "250 2.0.0 ok",
        "221 2.0.0 bye",
    ]
    assert replay.closed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("wire", "data"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"...\r\n.\r\n", b"..\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"a\n.\nb\n.\r\nc\r\n.\n\r\n.\r\n", b"a\n.\nb\n.\r\nc\r\n\n\r\n"),
        (b"a\r.\r\n\r\n..\r\r\n.\r\n", b"a\r.\r\n\r\n.\r\r\n"),
        (b"\0\xff\r\n\r\0\n\r\n.\r\n", b"\0\xff\r\n\r\0\n\r\n"),
        (b"x" * 3000 + b"\r\n.\r\n", b"x" * 3000 + b"\r\n"),
    ],
)
def test_data_is_exact(wire: bytes, data: bytes, size: int) -> None:
    replay = Replay().feed(begin() + wire + b"NOOP\r\n", size)
    assert [message.data for message in replay.messages] == [data]
    assert replay.codes[-2:] == ["250", "250"]


@settings(max_examples=300)
@given(st.lists(st.sampled_from([b"\r\n", b".", b"\n", b"\r", b"..", b"x", b"\0"])), st.integers(1, 12))
def test_stuffed_data_comes_out_as_it_was(parts: list[bytes], size: int) -> None:
    data = b"".join(parts) + b"\r\n"
    wire = data.replace(b"\r\n.", b"\r\n..")
    if wire.startswith(b"."):
        wire = b"." + wire
    replay = Replay().feed(begin() + wire + b".\r\nNOOP\r\n", size)
    assert [message.data for message in replay.messages] == [data]
    assert replay.codes[-1] == "250"


@settings(max_examples=200)
@given(st.lists(st.one_of(st.binary(max_size=30), st.sampled_from([
    b"LHLO x\r\n", b"MAIL FROM:<a@b>\r\n", b"RCPT TO:<c@d>\r\n", b"DATA\r\n", b".\r\n", b"\r\n.\r\n",
    b"RSET\r\n", b"XFORWARD NAME=a\r\n", b"QUIT\r\n", b"MAIL FROM:<", b"\r\n",
]))), st.integers(1, 50))  # fmt: skip
def test_whatever_comes_no_5xx_has_the_mark(parts: list[bytes], size: int) -> None:
    replay = Replay().feed(b"".join(parts), size)
    assert MARK.encode() not in replay.output
    replay.output.decode("ascii")


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("EHLO x", "500 5.5.2"),
        ("VRFY x", "500 5.5.2"),
        ("LHLO", "501 5.5.4"),
        ("DATA", "503 5.5.1"),
        ("RCPT TO:<a@b>", "503 5.5.1"),
        ("MAIL FROM:<a@b> RET=HDRS", "555 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=x", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=²", "501 5.5.4"),
        ("MAIL FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@b> SMTPUTF8=1", "501 5.5.4"),
        ("MAIL FROM:a@b", "501 5.5.4"),
        ("XFORWARD FOO=1", "421 4.3.0"),
        ("XFORWARD", "421 4.3.0"),
        ("XFORWARD NAME=+", "421 4.3.0"),
        ("\xff\xfe\x00", "500 5.5.2"),
    ],
)
def test_faults_never_have_the_mark(command: str, reply: str) -> None:
    replay = Replay().feed(b"LHLO mx\r\n" + command.encode() + b"\r\n")
    last = replay.output.decode().splitlines()[-1]
    assert last.startswith(reply)
    assert MARK not in last


@pytest.mark.parametrize(
    "command", ["RCPT TO:<>", "RCPT TO:<a@b> NOTIFY=NEVER", "RCPT TO:a@b", "XFORWARD NAME=a"]
)
def test_faults_within_a_message(command: str) -> None:
    replay = Replay().feed(b"LHLO mx\r\nMAIL FROM:<>\r\n" + command.encode() + b"\r\nDATA\r\n")
    assert replay.codes[-2][0] == "5"
    assert replay.codes[-1] == "503"
    assert MARK.encode() not in replay.output


def test_mail_before_lhlo() -> None:
    assert Replay().feed(b"MAIL FROM:<a@b>\r\n").codes == ["220", "503"]


def test_a_recipient_refused_at_rcpt_has_no_reply_after_the_dot() -> None:
    replay = Replay(Limits(recipients=2)).feed(begin(3) + b"x\r\n.\r\n")
    assert replay.codes[-6:] == ["250", "250", "452", "354", "250", "250"]
    assert replay.messages[0].envelope.recipients == ("r0@alias.example", "r1@alias.example")


def test_no_recipient() -> None:
    assert Replay().feed(begin(0) + b"NOOP\r\n").codes[-2:] == ["503", "250"]


def test_xforward_belongs_to_one_message() -> None:
    replay = Replay().feed(
        b"LHLO mx\r\nXFORWARD LOGIN=x\r\n" + begin()[9:] + b"x\r\n.\r\n" + begin()[9:] + b"x\r\n.\r\n"
    )
    assert [message.envelope.client.login for message in replay.messages] == ["x", None]


@pytest.mark.parametrize("command", [b"RSET\r\n", b"LHLO mx\r\n"])
def test_xforward_is_forgotten(command: bytes) -> None:
    replay = Replay().feed(b"LHLO mx\r\nXFORWARD LOGIN=x\r\n" + command + begin()[9:] + b"x\r\n.\r\n")
    assert replay.messages[0].envelope.client == Client()


def test_a_second_mail_within_a_message_changes_nothing() -> None:
    replay = Replay().feed(
        b"LHLO mx\r\nMAIL FROM:<a@b>\r\nMAIL FROM:<c@d>\r\nRCPT TO:<e@f>\r\nDATA\r\nx\r\n.\r\n"
    )
    assert replay.codes[-5:] == ["250", "503", "250", "354", "250"]
    assert replay.messages[0].envelope.sender == "a@b"


def test_lhlo_ends_a_message() -> None:
    """RFC 5321 §4.1.4."""
    replay = Replay().feed(begin()[:-6] + begin().replace(b"r0@", b"other@") + b"x\r\n.\r\n")
    assert replay.messages[0].envelope.recipients == ("other@alias.example",)


def test_a_body_is_named_in_any_case() -> None:
    replay = Replay().feed(begin().replace(b"com>", b"com> body=8bitMime") + b"x\r\n.\r\n")
    assert replay.messages[0].envelope.body == "8BITMIME"


@pytest.mark.parametrize("size", SIZES)
def test_what_came_before_tells_nothing_of_the_next(size: int) -> None:
    """Neither how much was read nor how much of it was too large."""
    replay = Replay(Limits(size=3000))
    for length in (2500, 10, 9000, 10):
        replay.feed(begin() + b"x" * length + b"\r\n.\r\n", size)
    assert [len(message.data) for message in replay.messages] == [2502, 12, 12]
    assert [one.octets for one in replay.too_large] == [9002]


@pytest.mark.parametrize("size", [1, 7, 4096])
def test_too_large_waits(size: int) -> None:
    replay = Replay(Limits(size=100))
    replay.feed(begin(2) + b"x" * 5000 + b"\r\n" * 2000 + b".\r\nNOOP\r\n", size)
    assert replay.codes[-3:] == ["452", "452", "250"]
    assert replay.messages == []
    assert replay.too_large[0].octets == 9000
    assert len(replay.session._input) < 10


def test_exactly_at_the_limit() -> None:
    replay = Replay(Limits(size=100)).feed(begin() + b"x" * 98 + b"\r\n.\r\n")
    assert len(replay.messages[0].data) == 100


def test_announced_size_over_the_limit_waits() -> None:
    replay = Replay(Limits(size=100)).feed(
        b"LHLO mx\r\nMAIL FROM:<a@b> SIZE=101\r\nMAIL FROM:<a@b> SIZE=100\r\n"
    )
    assert replay.codes[-2:] == ["452", "250"]


def test_too_many_recipients_wait() -> None:
    replay = Replay(Limits(recipients=2)).feed(begin(3) + b"x\r\n.\r\n")
    assert replay.codes[-4:] == ["452", "354", "250", "250"]


@pytest.mark.parametrize("tail", [b"", b"\r\n"])
def test_endless_line(tail: bytes) -> None:
    replay = Replay().feed(b"x" * (LINE_LIMIT + 1) + tail)
    assert replay.output.splitlines()[-1].startswith(b"500 5.5.2")
    assert replay.closed


def test_endless_faults() -> None:
    replay = Replay().feed(b"WHAT\r\n" * 1000)
    assert replay.codes == ["220"] + ["500"] * (FAULT_LIMIT - 1) + ["421"]
    assert replay.closed


def test_bare_lf_ends_a_command_but_not_data() -> None:
    replay = Replay().feed(begin().replace(b"\r\n", b"\n") + b"x\n.\n")
    assert replay.codes[-1] == "354"
    assert replay.messages == []
