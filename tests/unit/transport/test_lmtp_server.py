"""The LMTP server with real sockets: answers, faults of the handler, silence, caps, the graceful end."""

import contextlib
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lmtp_service import Recorder, Service, lmtp_service
from postmask.clock import ManualClock
from postmask.verdict import MARK, deliver, reject
from postmask_transport.lmtp import Limits, Times

SHORT = Times(idle=0.3, command=0.3, transfer=0.6, message=0.5, drain=5.0)


class Talk:
    """A client that talks line by line."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")

    def say(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def reply(self) -> str:
        while True:
            line = self.file.readline().decode()
            if line[3:4] != "-":
                return line.rstrip("\r\n")

    def ask(self, line: str) -> str:
        self.say(line.encode() + b"\r\n")
        return self.reply()

    def begin(self, recipients: int = 1) -> None:
        """Up to DATA's 354."""
        assert self.reply()[:3] == "220"
        self.ask("LHLO test")
        self.envelope(recipients)

    def envelope(self, recipients: int = 1) -> None:
        self.ask("MAIL FROM:<s@example.com>")
        for number in range(recipients):
            self.ask(f"RCPT TO:<r{number}@alias.example>")
        assert self.ask("DATA")[:3] == "354"


def talk(service: Service) -> Talk:
    return Talk(service.connect())


def wait_until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.005)


def test_two_messages_on_one_connection(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "s") as service:
        client = talk(service)
        client.begin(2)
        client.say(b"one\r\n.\r\n")
        assert [client.reply(), client.reply()] == ["250 2.1.5 ok"] * 2
        client.envelope()
        client.say(b"two\r\n.\r\n")
        assert client.reply() == "250 2.1.5 ok"
        assert client.ask("QUIT") == "221 2.0.0 bye"
        assert client.file.read() == b""
    assert [data for _, data in service.recorder.messages] == [b"one\r\n", b"two\r\n"]


def test_everything_in_one_write(tmp_path: Path) -> None:
    message = b"MAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\nx\r\n.\r\n"
    with lmtp_service(tmp_path / "s") as service:
        client = talk(service)
        client.say(b"LHLO x\r\n" + message * 50 + b"QUIT\r\n")
        assert client.file.read().endswith(b"221 2.0.0 bye\r\n")
    assert len(service.recorder.messages) == 50


def test_a_large_message_is_exact(tmp_path: Path) -> None:
    data = (os.urandom(1 << 20) + b"\r\n.\r\n..\n.\n\0") * 10 + b"\r\n"
    with lmtp_service(tmp_path / "s") as service:
        client = talk(service)
        client.begin()
        client.say(data.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert client.reply() == "250 2.1.5 ok"
    assert service.recorder.messages[0][1] == data


def raising(*_: object) -> list[object]:
    raise LookupError(f"{MARK} owner@home.example")


@pytest.mark.parametrize(
    "at_dot",
    [
        raising,
        lambda *_: None,
        lambda *_: [],
        lambda *_: [deliver()],
        lambda *_: [deliver()] * 3,
        lambda *_: [deliver(), None],
        lambda *_: ["550 5.1.1 postmask: x"] * 2,
    ],
)
def test_a_broken_handler_defers_every_recipient(
    tmp_path: Path, at_dot: Callable[..., list[object]], caplog: pytest.LogCaptureFixture
) -> None:
    with lmtp_service(tmp_path / "s", Recorder(at_dot=at_dot)) as service:
        client = talk(service)
        client.begin(2)
        client.say(b"x\r\n.\r\n")
        assert [client.reply(), client.reply()] == ["451 4.3.0 temporary trouble, try again later"] * 2
        client.say(b"NOOP\r\n")
        assert client.reply() == "250 2.0.0 ok"
    assert "lmtp.handler_failed" in caplog.text
    assert "home.example" not in caplog.text


def test_only_a_verdict_has_the_mark(tmp_path: Path) -> None:
    recorder = Recorder(at_dot=lambda *_: [reject("5.7.1", "not you")])
    with lmtp_service(tmp_path / "s", recorder) as service:
        client = talk(service)
        client.begin()
        client.say(b"x\r\n.\r\n")
        assert client.reply() == f"550 5.7.1 {MARK}not you"


def test_the_handler_gets_its_deadline(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "s", times=Times(message=7.0)) as service:
        client = talk(service)
        client.begin()
        client.say(b"x\r\n.\r\n")
        client.reply()
    assert 0 < service.recorder.deadlines[0].left() <= 7.0


@pytest.mark.parametrize("said", [b"", b"LHLO x\r\n", b"LHLO x\r\nMAIL FROM:<>\r\n", b"LHLO x\r\nMAIL F"])
def test_silence_ends_it(tmp_path: Path, said: bytes) -> None:
    with lmtp_service(tmp_path / "s", times=SHORT) as service:
        client = talk(service)
        client.say(said)
        assert client.file.read().endswith(b"421 4.4.2 waited too long\r\n")


def test_within_a_message_silence_is_shorter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And worth a warning: Postfix never pauses there."""
    caplog.set_level(logging.INFO)
    with lmtp_service(tmp_path / "s", times=Times(idle=60.0, command=0.3, transfer=60.0)) as service:
        client = talk(service)
        client.say(b"LHLO test\r\nMAIL FROM:<>\r\nRCPT TO:<a@alias.example>\r\nDATA\r\n")
        assert client.file.read().endswith(b"\r\n421 4.4.2 waited too long\r\n")
    (told,) = [record for record in caplog.records if "lmtp.timeout" in record.getMessage()]
    assert told.levelno == logging.WARNING


def test_replies_that_no_buffer_holds_arrive_all_the_same(tmp_path: Path) -> None:
    recorder = Recorder(at_dot=lambda envelope, _: [reject("5.7.1", "x" * 400)] * len(envelope.recipients))
    with lmtp_service(tmp_path / "s", recorder) as service:
        client = talk(service)
        client.reply()
        client.ask("LHLO test")
        client.say(b"MAIL FROM:<>\r\n" + b"RCPT TO:<a@alias.example>\r\n" * 1000 + b"DATA\r\n")
        assert [client.reply()[:3] for _ in range(1002)] == ["250"] * 1001 + ["354"]
        client.say(b"x\r\n.\r\n")
        wait_until(lambda: bool(recorder.messages))
        assert [client.reply()[:3] for _ in range(1000)] == ["550"] * 1000
        assert client.ask("NOOP") == "250 2.0.0 ok"


def test_a_drip_ends_it(tmp_path: Path) -> None:
    """Never silent for long, but never done either."""
    with lmtp_service(tmp_path / "s", times=SHORT) as service:
        client = talk(service)
        client.begin()
        gone = threading.Event()

        def drip() -> None:
            with contextlib.suppress(OSError):
                while not gone.wait(0.02):
                    client.say(b"x")

        thread = threading.Thread(target=drip)
        thread.start()
        assert client.reply() == "421 4.4.2 waited too long"
        gone.set()
        thread.join()
    assert service.recorder.messages == []


def test_each_message_has_its_own_time(tmp_path: Path) -> None:
    """More than a connection may be silent, which lives on with the next."""
    clock = ManualClock()
    with lmtp_service(tmp_path / "s", clock=clock, times=Times(idle=60.0, transfer=120.0)) as service:
        client = talk(service)
        for begin in (client.begin, client.envelope):
            begin()
            clock.advance(100.0)
            client.say(b"one\r\n")
            client.say(b"two\r\n.\r\n")
            assert client.reply() == "250 2.1.5 ok"


def test_a_lost_peer_delivers_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    with lmtp_service(tmp_path / "s") as service:
        client = talk(service)
        client.begin()
        client.say(b"x\r\n.\r")
        client.file.close()
        client.sock.close()
        wait_until(lambda: "hung up within a message" in caplog.text)
    assert service.recorder.messages == []


def test_who_only_looks_whether_it_is_there_leaves_no_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with lmtp_service(tmp_path / "s") as service:
        for _ in range(20):
            service.connect().close()
        client = talk(service)
        client.begin()
        client.sock.close()
        client.file.close()
        wait_until(lambda: "hung up within a message" in caplog.text)
        service.stop()
    assert caplog.text.count("lmtp.connection_failed") == 1


def test_strangers_are_turned_away(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with lmtp_service(tmp_path / "s", allowed_uids=frozenset({os.getuid() + 1})) as service:
        client = talk(service)
        assert client.file.read() == b"421 4.7.0 this socket is for Postfix alone\r\n"
    assert "lmtp.peer_refused uid=" in caplog.text


def test_the_cap(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "s", max_connections=2) as service:
        first, second = talk(service), talk(service)
        assert first.reply()[:3] == second.reply()[:3] == "220"
        assert talk(service).file.read() == b"421 4.3.2 too many connections, try again\r\n"
        first.ask("QUIT")
        assert first.file.read() == b""
        wait_until(lambda: talk(service).reply().startswith("220"))


def test_over_the_size_limit_waits_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with lmtp_service(tmp_path / "s", limits=Limits(size=1000)) as service:
        client = talk(service)
        client.begin()
        client.say(b"x" * 500_000 + b"\r\n.\r\n")
        assert client.reply() == "452 4.3.1 message larger than this server takes"
        client.envelope()
        client.say(b"x\r\n.\r\n")
        assert client.reply() == "250 2.1.5 ok"
    assert "lmtp.too_large" in caplog.text
    assert len(service.recorder.messages) == 1


def test_stop_finishes_what_is_in_hand(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> list[object]:
        asked.set()
        assert go_on.wait(10)
        return [deliver()]

    with lmtp_service(tmp_path / "s", Recorder(at_dot=slow)) as service:
        idle, busy = talk(service), talk(service)
        idle.reply()
        busy.begin()
        busy.say(b"x\r\n.\r\n")
        assert asked.wait(10)
        service.server.stop()
        assert idle.reply() == "421 4.3.2 stopping, try again"
        wait_until(lambda: refuses(service))
        go_on.set()
        assert busy.reply() == "250 2.1.5 ok"
        assert busy.reply() == "421 4.3.2 stopping, try again"
        assert service.stop() is True


def refuses(service: Service) -> bool:
    try:
        service.connect().close()
    except ConnectionRefusedError:
        return True
    return False


def test_stop_lets_a_transfer_finish(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "s") as service:
        client = talk(service)
        client.begin()
        client.say(b"first half\r\n")
        service.server.stop()
        wait_until(lambda: refuses(service))
        client.say(b"second half\r\n.\r\n")
        assert client.reply() == "250 2.1.5 ok"
        assert client.reply() == "421 4.3.2 stopping, try again"
        assert service.stop() is True
    assert service.recorder.messages[0][1] == b"first half\r\nsecond half\r\n"


def test_stop_waits_no_longer_than_its_deadline(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def stuck_handler(*_: object) -> list[object]:
        asked.set()
        assert go_on.wait(30)
        return [deliver()]

    recorder = Recorder(at_dot=stuck_handler)
    with lmtp_service(tmp_path / "s", recorder, times=Times(message=0.1, drain=0.3)) as service:
        silent, stuck = talk(service), talk(service)
        silent.begin()
        stuck.begin()
        stuck.say(b"x\r\n.\r\n")
        assert asked.wait(10)
        assert service.stop() is False
        assert silent.file.read() == b"421 4.4.2 waited too long\r\n"
        go_on.set()


def test_stop_waits_for_a_handler_as_long_as_it_has(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(*_: object) -> list[object]:
        asked.set()
        assert go_on.wait(30)
        return [deliver()]

    with lmtp_service(tmp_path / "s", Recorder(at_dot=slow), times=Times(message=60.0, drain=0.1)) as service:
        client = talk(service)
        client.begin()
        client.say(b"x\r\n.\r\n")
        assert asked.wait(10)
        service.server.stop()
        service.thread.join(0.5)
        assert service.thread.is_alive()
        go_on.set()
        assert client.reply() == "250 2.1.5 ok"
        assert service.stop() is True


def test_stop_is_idempotent(tmp_path: Path) -> None:
    with lmtp_service(tmp_path / "s") as service:
        service.server.stop()
        service.server.stop()
        assert service.stop() is True


def test_many_at_once(tmp_path: Path) -> None:
    failures = []

    def send(service: Service, number: int) -> None:
        try:
            client = talk(service)
            client.begin()
            client.say(b"%d\r\n.\r\n" % number)
            assert client.reply() == "250 2.1.5 ok"
        except Exception as error:  # noqa: BLE001 - told to the test
            failures.append(error)

    with lmtp_service(tmp_path / "s") as service:
        threads = [threading.Thread(target=send, args=(service, number)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failures == []
    assert sorted(int(data) for _, data in service.recorder.messages) == list(range(40))
