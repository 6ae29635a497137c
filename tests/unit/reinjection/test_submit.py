"""Re-injection against scripted peers: what is said, what becomes of every fault, what is retried."""

import gc
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.clock import Deadline, ManualClock, SystemClock
from postmask.reinjection.connection import stuffed
from postmask.reinjection.submit import Outcome, Refused, Reinjector, Submitted, Unknown
from scripted_peer import Peer, scripted_peer

CLOCK = SystemClock()
DATA = b"Subject: x\r\n\r\nhello\r\n"
QUEUED = Submitted("4bXyZ1")


def submit(reinjector: Reinjector, data: bytes = DATA, seconds: float = 10.0, **options: object) -> Outcome:
    arguments = {"sender": "b@alias.example", "recipients": ["m@home.example"], "ident": "k1", **options}
    return reinjector.submit(data=data, deadline=Deadline.after(CLOCK, seconds), **arguments)  # type: ignore[arg-type]


def accept(peer: Peer, times: int = 1) -> None:
    """A good server for that many messages, which then hangs up."""
    peer.open()
    for _ in range(times):
        peer.take_envelope()
        peer.take_data()
        peer.say(b"250 2.0.0 Ok: queued as 4bXyZ1\r\n")


def accept_and_stay(peer: Peer) -> None:
    accept(peer)
    peer.await_hangup()


def test_what_is_said(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.open()
        heard.extend(peer.take_envelope())
        heard.append(peer.take_data())
        peer.say(b"250 2.0.0 Ok: queued as 4bXyZ1\r\n")
        heard.append(peer.await_hangup())

    with scripted_peer(tmp_path / "s", script) as server:
        reinjector = Reinjector(tmp_path / "s", CLOCK)
        outcome = submit(
            reinjector, b".\r\n..x", ident="a=b +c", smtputf8=True, recipients=["ü@x.example", "m@y"]
        )
        assert outcome == QUEUED
        reinjector.close()
        server.finish()
    assert heard == [
        b"XFORWARD IDENT=a+3Db+20+2Bc",
        b"MAIL FROM:<b@alias.example> SIZE=6 BODY=8BITMIME SMTPUTF8 RET=HDRS",
        "RCPT TO:<ü@x.example> NOTIFY=FAILURE".encode(),
        b"RCPT TO:<m@y> NOTIFY=FAILURE",
        b"DATA",
        b"..\r\n...x\r\n.\r\n",
        b"QUIT\r\n",
    ]


def test_smtputf8_is_not_asked_for_by_itself(tmp_path: Path) -> None:
    """What was taken with it can't go to a mailbox's server that doesn't offer it."""
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.open()
        heard.extend(peer.take_envelope())
        peer.take_data()
        peer.say(b"250 2.0.0 Ok: queued as 4bXyZ1\r\n")

    with scripted_peer(tmp_path / "s", script):
        assert submit(Reinjector(tmp_path / "s", CLOCK)) == QUEUED
    assert heard[1] == b"MAIL FROM:<b@alias.example> SIZE=21 BODY=8BITMIME RET=HDRS"


def test_a_yes_before_the_message_is_none(tmp_path: Path) -> None:
    """Who is out of step has not got it."""

    def script(peer: Peer) -> None:
        peer.open()
        while peer.read_line() != b"DATA":
            peer.say(b"250 2.0.0 ok\r\n")
        peer.say(b"250 2.0.0 Ok: queued as NOTHING\r\n")
        peer.await_hangup()

    with scripted_peer(tmp_path / "s", script, accept):
        assert submit(Reinjector(tmp_path / "s", CLOCK)) == QUEUED


def test_nothing_is_said_that_was_not_offered(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.open((b"XFORWARD NAME ADDR",))
        heard.extend(peer.take_envelope())
        peer.take_data()
        peer.say(b"250 ok\r\n")

    client = {"ADDR": "192.0.2.1", "HELO": "a b"}
    with scripted_peer(tmp_path / "s", script):
        reinjector = Reinjector(tmp_path / "s", CLOCK)
        assert submit(reinjector, sender="", smtputf8=True, client=client) == Submitted("")
    assert heard == [b"XFORWARD ADDR=192.0.2.1", b"MAIL FROM:<>", b"RCPT TO:<m@home.example>", b"DATA"]


def test_a_cleanup_that_was_lost_may_have_finished(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.open()
        while peer.read_line() != b"DATA":
            peer.say(b"250 2.0.0 ok\r\n")
        peer.say(b"354 go on\r\n")
        peer.take_data()
        peer.say(b"451 4.3.0 Error: queue file write error\r\n")
        peer.await_hangup()

    with scripted_peer(tmp_path / "s", script):
        told = submit(Reinjector(tmp_path / "s", CLOCK))
    assert told == Unknown("451 4.3.0 Error: queue file write error")


@given(st.lists(st.sampled_from([b"\r\n", b".", b"\n", b"\r", b"x", b"\0"])))
def test_stuffing_as_postfix_undoes_it(parts: list[bytes]) -> None:
    """Postfix ends lines at LF, takes one dot from each that begins so, and stops at a lone one."""
    data = b"".join(parts)
    wire = stuffed(data)
    lines = wire.split(b"\n")
    assert lines.pop() == b""
    assert all(line.rstrip(b"\r") != b"." for line in lines)
    bare = [line[1:] if line.startswith(b".") else line for line in lines]
    whole = data if not data or data.endswith(b"\n") else data + b"\n"
    assert [line.rstrip(b"\r") for line in bare] == [line.rstrip(b"\r") for line in whole.split(b"\n")[:-1]]
    assert not wire or wire.endswith(b"\r\n")


@pytest.mark.parametrize(
    ("reply", "refused"),
    [
        (b"452 4.3.1 Insufficient storage", Refused(452, "4.3.1", "Insufficient storage")),
        (b"552 5.3.4 Error: message too big", Refused(552, "5.3.4", "Error: message too big")),
        (b"550-5.7.1 two\r\n550 5.7.1 lines", Refused(550, "5.7.1", "lines")),
        (b"554 no status", Refused(554, "5.0.0", "no status")),
        (b"450 5.7.1 contradicts itself", Refused(450, "4.0.0", "contradicts itself")),
        (b"554 5.7.1 \xff\x1b[1m", Refused(554, "5.7.1", "??[1m")),
        (b"554", Refused(554, "5.0.0", "")),
        (
            b"450 4.2.0 <m@home.example>: Recipient address rejected: not now",
            Refused(450, "4.2.0", "<...>: Recipient address rejected: not now"),
        ),
    ],
)
@pytest.mark.parametrize("verb", [b"MAIL", b"RCPT", b"DATA", b"."])
def test_refused_at_each_verb(tmp_path: Path, verb: bytes, reply: bytes, refused: Refused) -> None:
    def script(peer: Peer) -> None:
        peer.open()
        while True:
            command = peer.read_line()
            if command.startswith(verb):
                peer.say(reply + b"\r\n")
                # The commands behind it came with it.
                peer.say({b"MAIL": b"503 x\r\n503 x\r\n", b"RCPT": b"554 no recipients\r\n"}.get(verb, b""))
                peer.await_hangup()
                return
            peer.say(b"354 go on\r\n" if command == b"DATA" else b"250 2.0.0 ok\r\n")
            if command == b"DATA":
                peer.take_data()
                peer.say(reply + b"\r\n")
                peer.await_hangup()
                return

    with scripted_peer(tmp_path / "s", script, accept_and_stay) as server:
        reinjector = Reinjector(tmp_path / "s", CLOCK)
        assert submit(reinjector) == refused
        assert submit(reinjector) == QUEUED, "the next message has a fresh connection"
        assert server.connections == 2
        reinjector.close()


def test_one_recipient_refused_refuses_all(tmp_path: Path) -> None:
    """354 for the others is answered by hanging up: none gets it."""
    rest: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.open()
        replies = (b"250 x", b"250 mail", b"250 first", b"550 5.1.1 second", b"354 go on", b"")
        for _ in replies[:-1]:
            peer.read_line()
        peer.say(b"\r\n".join(replies))
        rest.append(peer.await_hangup())

    with scripted_peer(tmp_path / "s", script) as server:
        outcome = submit(Reinjector(tmp_path / "s", CLOCK), recipients=["a@x", "b@x"])
        assert outcome == Refused(550, "5.1.1", "second")
        server.finish()
    assert b"\r\n.\r\n" not in rest[0]


def test_a_refused_xforward_keeps_no_mail_back(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        peer.open()
        assert peer.read_line().startswith(b"XFORWARD")
        peer.say(b"550 5.7.0 Error: insufficient authorization\r\n")
        peer.take_envelope()
        peer.take_data()
        peer.say(b"250 2.0.0 Ok: queued as 4bXyZ1\r\n")

    with scripted_peer(tmp_path / "s", script):
        assert submit(Reinjector(tmp_path / "s", CLOCK)) == QUEUED


def greeting_421(peer: Peer) -> None:
    peer.say(b"421 4.3.2 too busy\r\n")


def greeting_554(peer: Peer) -> None:
    peer.say(b"554 5.7.1 go away\r\n")


def ehlo_421(peer: Peer) -> None:
    peer.say(b"220 x\r\n")
    peer.read_line()
    peer.say(b"421 4.4.2 x\r\n")


def hangup_at_once(peer: Peer) -> None:
    pass


def garbage(peer: Peer) -> None:
    peer.say(b"\0\xff" * 100 + b"\r\n")


def endless_line(peer: Peer) -> None:
    peer.say(b"2" * 10_000)


def endless_reply(peer: Peer) -> None:
    peer.say(b"220-x\r\n" * 1000)


def hangup_at_mail(peer: Peer) -> None:
    peer.open()
    peer.read_line()


def hangup_after_354(peer: Peer) -> None:
    peer.open()
    peer.take_envelope()


def mail_421(peer: Peer) -> None:
    peer.open()
    peer.read_line()
    peer.say(b"250 xforward\r\n421 4.3.2 shutting down\r\n")


def hangup_in_the_middle(peer: Peer) -> None:
    peer.open()
    peer.take_envelope()
    peer.sock.recv(1000)


BEFORE_THE_DOT = [
    greeting_421,
    greeting_554,
    ehlo_421,
    hangup_at_once,
    garbage,
    endless_line,
    endless_reply,
    hangup_at_mail,
    mail_421,
    hangup_in_the_middle,
]


@pytest.mark.parametrize("fault", BEFORE_THE_DOT)
def test_lost_before_the_dot_is_tried_once_more(tmp_path: Path, fault: Callable[[Peer], None]) -> None:
    large = DATA + b"x" * 3_000_000
    with scripted_peer(tmp_path / "s", fault, accept) as server:
        assert submit(Reinjector(tmp_path / "s", CLOCK), large) == QUEUED
        assert server.connections == 2


@pytest.mark.parametrize("fault", BEFORE_THE_DOT)
def test_but_not_twice_more(tmp_path: Path, fault: Callable[[Peer], None]) -> None:
    large = DATA + b"x" * 3_000_000
    with scripted_peer(tmp_path / "s", fault, fault, accept) as server:
        outcome = submit(Reinjector(tmp_path / "s", CLOCK), large)
        assert isinstance(outcome, Refused)
        assert server.connections == 2
    if fault is not greeting_554:
        assert outcome.code // 100 == 4


def test_nobody_listens(tmp_path: Path) -> None:
    outcome = submit(Reinjector(tmp_path / "s", CLOCK))
    assert isinstance(outcome, Refused)
    assert (outcome.code, outcome.status) == (451, "4.4.1")
    assert "No such file" in outcome.text


def hangup_after_the_dot(peer: Peer) -> None:
    peer.open()
    peer.take_envelope()
    peer.take_data()


def silence_after_the_dot(peer: Peer) -> None:
    hangup_after_the_dot(peer)
    peer.await_hangup()


def garbage_after_the_dot(peer: Peer) -> None:
    hangup_after_the_dot(peer)
    peer.say(b"what?\r\n")


def half_a_reply_after_the_dot(peer: Peer) -> None:
    hangup_after_the_dot(peer)
    peer.say(b"250 2.0.0 Ok: queued as 4b")


@pytest.mark.parametrize(
    "fault",
    [hangup_after_the_dot, silence_after_the_dot, garbage_after_the_dot, half_a_reply_after_the_dot],
)
def test_lost_after_the_dot_is_unknown_and_never_tried_again(
    tmp_path: Path, fault: Callable[[Peer], None]
) -> None:
    with scripted_peer(tmp_path / "s", fault, accept) as server:
        assert isinstance(submit(Reinjector(tmp_path / "s", CLOCK), seconds=0.3), Unknown)
        assert server.connections == 1


def test_hangup_right_after_354_loses_nothing(tmp_path: Path) -> None:
    """A small message goes out in one write: either it left whole (unknown), or not (tried again)."""
    with scripted_peer(tmp_path / "s", hangup_after_354, accept):
        assert isinstance(submit(Reinjector(tmp_path / "s", CLOCK)), Unknown | Submitted)


def stall(peer: Peer) -> None:
    peer.await_hangup()


def stall_after_354(peer: Peer) -> None:
    peer.open()
    peer.take_envelope()
    while not done.wait(0.05):
        pass


done = threading.Event()


@pytest.mark.parametrize("fault", [stall, stall_after_354])
def test_the_deadline_holds_before_the_dot(tmp_path: Path, fault: Callable[[Peer], None]) -> None:
    done.clear()
    with scripted_peer(tmp_path / "s", fault, accept) as server:
        large = DATA + b"x" * 3_000_000
        outcome = submit(Reinjector(tmp_path / "s", CLOCK), large, seconds=0.3)
        assert isinstance(outcome, Refused)
        assert (outcome.code, outcome.status) == (451, "4.4.2")
        done.set()
        assert server.connections == 1


def test_a_stall_is_left_for_a_fresh_connection_while_there_is_time(tmp_path: Path) -> None:
    with scripted_peer(tmp_path / "s", stall, accept):
        assert submit(Reinjector(tmp_path / "s", CLOCK, timeout=0.2)) == QUEUED


def test_a_passed_deadline_sends_nothing(tmp_path: Path) -> None:
    with scripted_peer(tmp_path / "s", accept):
        outcome = submit(Reinjector(tmp_path / "s", CLOCK), seconds=0.0)
        assert isinstance(outcome, Refused)
        assert outcome.status == "4.4.2"


def test_a_slow_reader_gets_all_of_it(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.sock.setsockopt(1, 8, 4096)  # SO_RCVBUF
        peer.open()
        peer.take_envelope()
        heard.append(peer.take_data())
        peer.say(b"250 2.0.0 Ok: queued as 4bXyZ1\r\n")

    data = b"".join(b"%0100d .\r\n.\r\n" % number for number in range(20_000))
    with scripted_peer(tmp_path / "s", script):
        assert submit(Reinjector(tmp_path / "s", CLOCK), data) == QUEUED
    assert heard == [data.replace(b"\r\n.\r\n", b"\r\n..\r\n") + b".\r\n"]


def test_an_early_refusal_is_heard(tmp_path: Path) -> None:
    rest: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.open()
        peer.take_envelope()
        peer.say(b"552 5.3.4 too big\r\n")
        done.wait(10)
        rest.append(peer.await_hangup())

    done.clear()
    with scripted_peer(tmp_path / "s", script) as server:
        outcome = submit(Reinjector(tmp_path / "s", CLOCK), DATA + b"x" * 3_000_000)
        assert outcome == Refused(552, "5.3.4", "too big")
        done.set()
        server.finish()
    assert b"\r\n.\r\n" not in rest[0]


def test_connections_are_kept(tmp_path: Path) -> None:
    with scripted_peer(tmp_path / "s", lambda peer: accept(peer, 3), accept) as server:
        reinjector = Reinjector(tmp_path / "s", CLOCK)
        assert [submit(reinjector) for _ in range(3)] == [QUEUED] * 3
        assert server.connections == 1
        server._thread.join(0.2)
        assert submit(reinjector) == QUEUED, "the kept one was hung up meanwhile"
        assert server.connections == 2


def test_a_kept_connection_that_says_421(tmp_path: Path) -> None:
    said = threading.Event()

    def script(peer: Peer) -> None:
        accept(peer)
        peer.say(b"421 4.4.2 timeout\r\n")
        said.set()
        peer.await_hangup()

    with scripted_peer(tmp_path / "s", script, accept) as server:
        reinjector = Reinjector(tmp_path / "s", CLOCK)
        submit(reinjector)
        assert said.wait(10)
        assert submit(reinjector) == QUEUED
        assert server.connections == 2


def test_a_kept_connection_that_dies_when_used(tmp_path: Path) -> None:
    def script(peer: Peer) -> None:
        accept(peer)
        peer.read_line()

    with scripted_peer(tmp_path / "s", script, accept) as server:
        reinjector = Reinjector(tmp_path / "s", CLOCK)
        submit(reinjector)
        assert submit(reinjector) == QUEUED
        assert server.connections == 2


def test_idle_and_used_up_connections_are_closed(tmp_path: Path) -> None:
    clock = ManualClock()
    with scripted_peer(tmp_path / "s", accept_and_stay, lambda peer: accept(peer, 90), accept) as server:
        reinjector = Reinjector(tmp_path / "s", clock)
        submit(reinjector)
        clock.advance(61)
        for _ in range(90):
            assert submit(reinjector) == QUEUED
        assert server.connections == 2
        assert submit(reinjector) == QUEUED
        assert server.connections == 3


def test_no_more_are_kept_than_asked_for(tmp_path: Path) -> None:
    with scripted_peer(tmp_path / "s", accept_and_stay, accept_and_stay) as server:
        reinjector = Reinjector(tmp_path / "s", CLOCK, pool_size=0)
        submit(reinjector)
        submit(reinjector)
        assert server.connections == 2


@pytest.mark.parametrize(
    "bad",
    [
        {"sender": "a\r\nRCPT TO:<x@y>"},
        {"sender": "a> SIZE=1"},
        {"sender": 'a"b@x'},
        {"sender": "a\0b@x"},
        {"recipients": ["a@x> NOTIFY=NEVER"]},
        {"recipients": [""]},
        {"recipients": []},
    ],
)
def test_what_could_not_stand_in_a_command(tmp_path: Path, bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"envelope address|recipient"):
        submit(Reinjector(tmp_path / "s", CLOCK), **bad)


def test_refused_is_a_plain_value() -> None:
    refused = Refused(451, "4.3.0", "x")
    assert replace(refused, text="y") != refused


def test_a_message_that_was_not_taken_is_not_kept(tmp_path: Path) -> None:
    """Twenty of 50 MB that Postfix had no time for stayed in memory, two copies of each, for minutes."""

    data = bytes(DATA * 1000)
    gc.collect()
    gc.disable()
    try:
        with scripted_peer(tmp_path / "s", Peer.open, Peer.open) as server:
            before = sys.getrefcount(data)
            assert isinstance(submit(Reinjector(tmp_path / "s", CLOCK), data), Refused)
            assert sys.getrefcount(data) == before
            server.finish()
    finally:
        gc.enable()
