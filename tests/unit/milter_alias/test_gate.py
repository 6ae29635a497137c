"""The gate on a real socket, with a decision of the test's own."""

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from postmask.clock import ManualClock, SystemClock
from postmask.verdict import Verdict, deliver, reject, unavailable
from postmask_milter import conversation
from postmask_milter.conversation import IDLE, Conversation
from postmask_milter.gate import Gate

DUNNO = b"action=DUNNO\n\n"
CANT_TELL = b"action=451 4.3.0 temporary trouble, try again later\n\n"


class Lab:
    """A running gate, and connections to it."""

    def __init__(
        self,
        folder: Path,
        *,
        deadline: float = 30.0,
        max_connections: int = 50,
        listening: type[socket.socket] = socket.socket,
    ) -> None:
        self.asked: list[tuple[str, str, str]] = []
        self._asked = threading.Condition()
        self.verdict: Callable[[str], Verdict | None] = lambda recipient: reject("5.1.1", "no such address")
        self.path = folder / "gate.sock"
        listener = listening(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(100)
        self.gate = Gate(
            listener, self.answer, SystemClock(), deadline=deadline, max_connections=max_connections
        )
        self.thread = threading.Thread(target=self.gate.serve, daemon=True)
        self.thread.start()
        self.open = ExitStack()
        self.open.enter_context(listener)

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.stop()
        self.thread.join(30)
        self.open.close()

    def answer(self, recipient: str, sender: str, client: str, queue_id: str) -> Verdict | None:
        with self._asked:
            self.asked.append((recipient, sender, queue_id))
            self._asked.notify_all()
        return self.verdict(recipient)

    def await_questions(self, count: int) -> None:
        """Until so many have been asked."""
        with self._asked:
            assert self._asked.wait_for(lambda: len(self.asked) >= count, 30)

    def connect(self) -> socket.socket:
        peer = self.open.enter_context(socket.socket(socket.AF_UNIX))
        peer.settimeout(30)
        peer.connect(str(self.path))
        return peer

    def ask(self, peer: socket.socket, **attributes: str) -> bytes:
        peer.sendall(request(**attributes))
        return received(peer)


def request(**attributes: str) -> bytes:
    usual = {"request": "smtpd_access_policy", "protocol_state": "RCPT", "sender": "bob@example.com"}
    return "".join(f"{name}={value}\n" for name, value in {**usual, **attributes}.items()).encode() + b"\n"


def received(peer: socket.socket) -> bytes:
    """One answer, or what came before the end of the connection."""
    data = b""
    while not data.endswith(b"\n\n"):
        chunk = peer.recv(100)
        if not chunk:
            break
        data += chunk
    return data


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as running:
        yield running


def test_a_verdict_for_each_rcpt_on_one_connection(lab: Lab) -> None:
    lab.verdict = lambda recipient: deliver() if recipient.startswith("shop") else reject("5.1.1", "no")
    peer = lab.connect()
    assert lab.ask(peer, recipient="shop@alias.example", queue_id="4Q") == DUNNO
    assert lab.ask(peer, recipient="nosuch@alias.example", sender="") == b"action=550 5.1.1 no\n\n"
    assert lab.asked == [("shop@alias.example", "bob@example.com", "4Q"), ("nosuch@alias.example", "", "")]


def test_postfix_names_an_address_without_its_quotes(lab: Lab) -> None:
    lab.ask(lab.connect(), recipient="a b@alias.example", sender="c d@example.com")
    assert lab.asked == [('"a b"@alias.example', '"c d"@example.com', "")]


def test_what_is_not_ours_is_dunno(lab: Lab) -> None:
    lab.verdict = lambda recipient: None
    assert lab.ask(lab.connect(), recipient="user@elsewhere.example") == DUNNO


@pytest.mark.parametrize("state", ["CONNECT", "EHLO", "MAIL", "DATA", "END-OF-MESSAGE", "VRFY", "ETRN"])
def test_it_acts_at_rcpt_only(lab: Lab, state: str) -> None:
    assert lab.ask(lab.connect(), protocol_state=state, recipient="nosuch@alias.example") == DUNNO
    assert lab.asked == []


@pytest.mark.parametrize(
    "data",
    [
        b"\n",
        b"protocol_state=RCPT\nrecipient=a@alias.example\nsender=\n\n",
        b"request=junk\nprotocol_state=RCPT\nrecipient=a@alias.example\nsender=\n\n",
        b"request=smtpd_access_policy\nrecipient=a@alias.example\nsender=\n\n",
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nsender=\n\n",
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=\nsender=\n\n",
        b"request=smtpd_access_policy\nprotocol_state=RCPT\nrecipient=a@alias.example\n\n",
    ],
    ids=[
        "empty",
        "no-request",
        "unknown-request",
        "no-state",
        "no-recipient",
        "empty-recipient",
        "no-sender",
    ],
)
def test_what_should_be_a_question_but_is_none_cant_be_told(lab: Lab, data: bytes) -> None:
    peer = lab.connect()
    peer.sendall(data)
    assert received(peer) == CANT_TELL
    assert lab.asked == []


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.0\r\n\r\n\n\n", b"recipient=a\0\n\n", b"a=" + b"x" * 1_000_000, b"a=b\na=c\n\n"]
)
def test_what_is_no_request_closes_the_connection_without_a_word(lab: Lab, data: bytes) -> None:
    peer = lab.connect()
    try:
        peer.sendall(data)
        assert received(peer) == b""
    except (BrokenPipeError, ConnectionResetError):
        pass
    assert lab.ask(lab.connect(), recipient="a@alias.example") == b"action=550 5.1.1 no such address\n\n"


def test_an_unfinished_request_at_the_end_is_no_request(lab: Lab) -> None:
    peer = lab.connect()
    peer.sendall(request(recipient="a@alias.example")[:-1])
    peer.shutdown(socket.SHUT_WR)
    assert received(peer) == b""
    assert lab.asked == []


def test_a_request_that_is_not_finished_in_time_closes_the_connection(tmp_path: Path) -> None:
    with Lab(tmp_path, deadline=0.05) as lab:
        peer = lab.connect()
        peer.sendall(b"request=smtpd_access_policy\n")
        assert received(peer) == b""
        assert lab.asked == []


def test_a_decision_that_takes_too_long_is_answered_in_its_place(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(recipient: str) -> Verdict:
        if recipient.startswith("slow"):
            go_on.wait(30)
        return deliver()

    with Lab(tmp_path, deadline=0.2) as lab:
        lab.verdict = slow
        stuck = lab.connect()
        assert lab.ask(stuck, recipient="slow@alias.example") == CANT_TELL
        assert stuck.recv(1) == b""
        assert lab.ask(lab.connect(), recipient="quick@alias.example") == DUNNO
        go_on.set()
        lab.gate.stop()
        assert lab.gate.drained(30)


def test_nor_does_it_keep_others_waiting_when_its_peer_has_gone(tmp_path: Path) -> None:
    go_on = threading.Event()

    def slow(recipient: str) -> Verdict:
        go_on.wait(60)
        return deliver()

    with Lab(tmp_path, deadline=0.2) as lab:
        lab.verdict = slow
        with lab.connect() as gone:
            gone.sendall(request(recipient="a@alias.example"))
            lab.await_questions(1)
        assert lab.ask(lab.connect(), recipient="b@alias.example") == CANT_TELL
        assert lab.ask(lab.connect(), recipient="c@alias.example") == CANT_TELL
        go_on.set()


def test_an_answer_in_its_place_is_not_given_to_the_next_question() -> None:
    asked, decided, next_asked, go_on = (threading.Event() for _ in range(4))

    def decide(recipient: str, *_: str) -> Verdict | None:
        if recipient == "next@alias.example":
            next_asked.set()
            assert go_on.wait(30)
        else:
            asked.set()
            assert decided.wait(30)
        return None

    class Now(float):
        """A look at the clock after which the first is decided, and the next asked."""

        def __sub__(self, _asked_at: float) -> float:
            decided.set()
            assert received(peer) == DUNNO
            peer.sendall(request(recipient="next@alias.example"))
            assert next_asked.wait(30)
            return 99.0

    ours, peer = socket.socketpair()
    with ours, peer:
        peer.settimeout(30)
        conversation = Conversation(ours, decide, SystemClock(), 30.0)
        thread = threading.Thread(target=conversation.run)
        thread.start()
        peer.sendall(request(recipient="first@alias.example"))
        assert asked.wait(30)
        assert not conversation.hurry(Now())
        go_on.set()
        assert received(peer) == DUNNO
        peer.shutdown(socket.SHUT_WR)
        thread.join(30)


def test_overdue_is_what_was_asked_a_deadline_ago_and_is_not_answered() -> None:
    asked, go_on = threading.Event(), threading.Event()

    def decide(*_: str) -> None:
        asked.set()
        assert go_on.wait(30)

    clock = ManualClock()
    ours, peer = socket.socketpair()
    with ours, peer:
        peer.settimeout(30)
        conversation = Conversation(ours, decide, clock, 5.0)
        thread = threading.Thread(target=conversation.run)
        thread.start()
        assert not conversation.hurry(clock.monotonic() + 99)
        peer.sendall(request(recipient="a@alias.example"))
        assert asked.wait(30)
        assert not conversation.hurry(clock.monotonic() + 4.9)
        go_on.set()
        assert received(peer) == DUNNO
        assert not conversation.hurry(clock.monotonic() + 99)
        go_on.clear()
        asked.clear()
        peer.sendall(request(recipient="b@alias.example"))
        assert asked.wait(30)
        assert conversation.hurry(clock.monotonic() + 5.0)
        assert received(peer) == CANT_TELL
        go_on.set()
        thread.join(30)


def test_beyond_the_cap_the_answer_is_a_deferral(tmp_path: Path) -> None:
    with Lab(tmp_path, max_connections=2) as lab:
        first, second = lab.connect(), lab.connect()
        lab.ask(first, recipient="a@alias.example")
        lab.ask(second, recipient="a@alias.example")
        third = lab.connect()
        answered = lab.ask(third, recipient="a@alias.example")
        assert answered == b"action=450 4.3.2 too busy, try again later\n\n"
        assert third.recv(1) == b""
        assert len(lab.asked) == 2


def test_without_a_thread_it_is_one_too_and_the_log_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def none_left(thread: threading.Thread) -> None:
        raise OSError(errno.EAGAIN, "no thread is to be had")

    with Lab(tmp_path) as lab:
        monkeypatch.setattr("postmask_milter.gate.begin", none_left)
        answered = lab.ask(lab.connect(), recipient="a@alias.example")
        assert answered == b"action=450 4.3.2 too busy, try again later\n\n"
        monkeypatch.undo()
        assert lab.gate.drained(30)
        assert b"4.3.2" not in lab.ask(lab.connect(), recipient="a@alias.example")
    assert caplog.messages[0] == "the gate can't serve a connection: no thread is to be had"


def test_who_says_nothing_beyond_the_cap_is_not_waited_for(tmp_path: Path) -> None:
    with Lab(tmp_path, max_connections=1) as lab:
        lab.ask(lab.connect(), recipient="a@alias.example")
        silent, third = lab.connect(), lab.connect()
        assert lab.ask(third, recipient="a@alias.example").startswith(b"action=450 4.3.2 ")
        assert silent.recv(1) == b""


def test_a_connection_that_cannot_be_accepted_ends_nothing(tmp_path: Path) -> None:
    class Full(socket.socket):
        times = 2

        def accept(self) -> tuple[socket.socket, object]:
            if self.times:
                Full.times -= 1
                raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            return super().accept()

    with Lab(tmp_path, listening=Full) as lab:
        assert lab.ask(lab.connect(), recipient="a@alias.example").startswith(b"action=550 ")


def test_stopping_finishes_the_answer_under_way(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(recipient: str) -> Verdict:
        begun.set()
        go_on.wait(30)
        return unavailable("slow")

    with Lab(tmp_path) as lab:
        lab.verdict = slow
        idle, busy = lab.connect(), lab.connect()
        busy.sendall(request(recipient="a@alias.example"))
        assert begun.wait(30)
        lab.gate.stop()
        lab.thread.join(30)
        assert not lab.thread.is_alive()
        assert received(idle) == b""
        assert lab.gate.drained(0.01) is False
        go_on.set()
        assert received(busy) == CANT_TELL
        assert lab.gate.drained(30)


class Peer:
    """A connection on which these parts arrive, two seconds apart. waits: how long for each, at most."""

    def __init__(self, clock: ManualClock, *parts: bytes) -> None:
        self.clock = clock
        self.parts = [*parts, b""]
        self.waits: list[float] = []
        self.answers: list[bytes] = []

    def settimeout(self, seconds: float) -> None:
        self.waits.append(seconds)

    def recv(self, size: int) -> bytes:
        self.clock.advance(2)
        return self.parts.pop(0)

    def setblocking(self, flag: bool) -> None:
        assert not flag

    def send(self, data: bytes) -> None:
        self.answers.append(data)


def test_a_request_has_a_deadline_and_the_silence_behind_it_has_none() -> None:
    """Postfix must not find a connection closed that it still wants to use."""
    clock = ManualClock()
    asked = request(recipient="shop@alias.example")
    peer = Peer(clock, asked[:10], asked[10:20], asked[20:], asked)
    Conversation(peer, lambda *_: None, clock, 5.0).run()  # type: ignore[arg-type]  played
    assert peer.waits == [IDLE, 5.0, 3.0, IDLE, IDLE]
    assert peer.answers == [DUNNO, DUNNO]
    assert IDLE > 1_000


def test_a_request_that_does_not_end_in_time() -> None:
    clock = ManualClock()
    peer = Peer(clock, b"request=", b"s", b"m", b"t")
    with pytest.raises(TimeoutError):
        Conversation(peer, lambda *_: None, clock, 5.0).run()  # type: ignore[arg-type]  played
    assert peer.parts == [b""]


def test_a_peer_that_does_not_read_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation, "IDLE", 5.0)
    ours, peer = socket.socketpair()
    with ours, peer:
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        peer.sendall(300 * request(recipient="shop@alias.example"))
        with pytest.raises(BlockingIOError):
            Conversation(ours, lambda *_: None, SystemClock(), 30.0).run()
