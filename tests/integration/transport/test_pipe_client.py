"""The pipe client as a process, against the real LMTP server and against scripted faults."""

import os
import random
import re
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lmtp_service import Recorder, Service, lmtp_service
from pipe_client import ENVIRONMENT, MESSAGE, PipeClient, Result
from postmask.verdict import MARK, defer, reject
from postmask_transport.lmtp import Limits
from scripted_peer import Peer, scripted_peer

DELIVERED = Result(0, "", "")


@pytest.fixture
def client(tmp_path: Path) -> PipeClient:
    return PipeClient(tmp_path, tmp_path / "f")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with lmtp_service(tmp_path / "f") as running:
        yield running


def deferred(result: Result, status: str) -> bool:
    """One short line, a deferral, and not the exit status of success."""
    return (
        result.status == 75
        and result.errors == ""
        and re.fullmatch(rf"{re.escape(status)} [ -~]{{1,450}}\n", result.output) is not None
    )


def test_a_delivery(client: PipeClient, service: Service) -> None:
    assert client.run(sasl_username="user@example.com") == DELIVERED
    ((envelope, data),) = service.recorder.messages
    assert data == MESSAGE
    assert (envelope.sender, envelope.recipients) == ("s@example.com", ("r@alias.example",))
    seen = envelope.client
    assert (seen.address, seen.name, seen.helo) == ("192.0.2.1", "client.example", "helo.example")
    assert (seen.port, seen.protocol, seen.login) == ("2525", "ESMTP", "user@example.com")
    assert seen.queue_id == "4bXyZ1"


@pytest.mark.parametrize(
    ("message", "data"),
    [
        (b"", b""),
        (b".\r\n", b".\r\n"),
        (b"..\r\n.\r\n\r\n.", b"..\r\n.\r\n\r\n.\r\n"),
        (b"no line end", b"no line end\r\n"),
        (b"\0\xff\r\n" + b"x" * 5000 + b"\r\n", b"\0\xff\r\n" + b"x" * 5000 + b"\r\n"),
        (b"bare\n.\nlf\rcr\r\n", b"bare\n.\nlf\rcr\r\n"),
    ],
)
def test_octets_arrive_exactly(client: PipeClient, service: Service, message: bytes, data: bytes) -> None:
    assert client.run(message) == DELIVERED
    assert service.recorder.messages[0][1] == data


def test_a_large_message(client: PipeClient, service: Service) -> None:
    message = (os.urandom(65534).replace(b"\r\n", b"xx") + b"\r\n.\r\n") * 320
    assert client.run(message) == DELIVERED
    assert service.recorder.messages[0][1] == message


@pytest.mark.parametrize(
    "local",
    [
        "$(touch${IFS}owned)",
        "`touch${IFS}owned`",
        "-rf",
        ";reboot;",
        "|x",
        "&&x",
        '"a b"',
        '"a\\"b> SIZE=1"',
        "'x'",
        "%n%s",
        "a=b=c",
        "jürgen",
        "\udcff\udcfe",
        "x" * 242,
        "--help",
        "*",
    ],
)
def test_hostile_words(client: PipeClient, service: Service, local: str) -> None:
    address = f"{local}@example.com"
    hostile = f"{local} \\ \"'$(x) \x01\x7f"
    assert client.run(sender=address, recipient=address, client_helo=hostile) == DELIVERED
    envelope = service.recorder.messages[0][0]
    assert (envelope.sender, envelope.recipients) == (address, (address,))
    assert envelope.client.helo == hostile.replace("\x01", "?").replace("\x7f", "?")
    assert not (client.folder / "owned").exists()


def test_the_null_sender(client: PipeClient, service: Service) -> None:
    assert client.run(sender="") == DELIVERED
    assert service.recorder.messages[0][0].sender == ""


@pytest.mark.parametrize("sender", ["a b@example.com", "a>b@example.com", '"@example.com', "a@b> RET=HDRS"])
def test_words_that_are_no_address_wait(client: PipeClient, service: Service, sender: str) -> None:
    """flags=q lets none of them happen."""
    assert deferred(client.run(sender=sender), "4.3.0")
    assert service.recorder.messages == []


@pytest.mark.parametrize("sender", ["a\nb@example.com", "a@example.com>\r\nRCPT TO:<x@y>"])
def test_line_breaks_in_words_wait(client: PipeClient, service: Service, sender: str) -> None:
    assert deferred(client.run(sender=sender), "4.3.0")
    assert service.recorder.messages == []


def test_a_long_socket_path(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 60) / ("e" * 60)
    folder.mkdir(parents=True)
    here = socket.socket(socket.AF_UNIX)
    before = os.getcwd()
    with scripted_peer(tmp_path / "s") as unused:
        unused.close()
    os.chdir(folder)
    try:
        here.bind("f")
    finally:
        os.chdir(before)
    here.listen()
    client = PipeClient(tmp_path, folder / "f")
    with ThreadPoolExecutor() as pool:
        result = pool.submit(client.run)
        peer, _ = here.accept()
        peer.sendall(b"421 4.3.2 seen\r\n")
        assert result.result() == Result(75, "4.3.2 seen\n", "")
        peer.close()
    here.close()


# -- what the forwarder says ---------------------------------------------------------------------


def test_its_refusals(tmp_path: Path, client: PipeClient) -> None:
    verdict = [reject("5.7.1", "not you")]
    with lmtp_service(tmp_path / "f", Recorder(at_dot=lambda *_: verdict)):
        assert client.run() == Result(75, f"5.7.1 {MARK}not you\n", "")
        verdict[0] = defer("4.2.1", "not now")
        assert client.run() == Result(75, "4.2.1 not now\n", "")


def test_its_fault(tmp_path: Path, client: PipeClient) -> None:
    with lmtp_service(tmp_path / "f", Recorder(at_dot=lambda *_: [])):
        assert deferred(client.run(), "4.3.0")


def test_too_large_waits(tmp_path: Path, client: PipeClient) -> None:
    with lmtp_service(tmp_path / "f", limits=Limits(size=100)):
        assert deferred(client.run(MESSAGE * 100_000), "4.3.1")


@pytest.mark.parametrize(
    ("reply", "line"),
    [
        (b"550 5.1.1 postmask: gone", "5.1.1 postmask: gone\n"),
        (b"550 5.1.1 gone", None),
        (b"550 5.1.1 xpostmask: gone", None),
        (b"550 postmask: gone", None),
        (b"550 4.1.1 postmask: gone", None),
        (b"450 5.1.1 postmask: gone", None),
        (b"250-5.1.1 postmask: gone\r\n550 no status", None),
        (b"554", None),
        (b"450", None),
        (b"450 4.2.1 later \x1b[1m\xff", "4.2.1 later ?[1m?\n"),
        (b"999 5.1.1 postmask: gone", None),
        (b"garbage", None),
        (b"", None),
        (b"\xff" * 20_000, None),
    ],
)
def test_replies_after_the_dot(tmp_path: Path, client: PipeClient, reply: bytes, line: str | None) -> None:
    def script(peer: Peer) -> None:
        peer.open()
        peer.take_envelope()
        peer.take_data()
        peer.say(reply + b"\r\n")

    with scripted_peer(tmp_path / "f", script):
        result = client.run()
    assert deferred(result, "4.3.0") if line is None else result == Result(75, line, "")


@pytest.mark.parametrize("verb", ["", "LHLO", "XFORWARD", "MAIL", "DATA"])
def test_a_mark_out_of_place_waits(tmp_path: Path, client: PipeClient, verb: str) -> None:
    def script(peer: Peer) -> None:
        peer.say(b"220 x\r\n" if verb else b"550 5.1.1 postmask: gone\r\n")
        while True:
            command = peer.read_line()
            peer.say(b"550 5.1.1 postmask: gone\r\n" if command.startswith(verb.encode()) else b"250 ok\r\n")

    with scripted_peer(tmp_path / "f", script):
        assert deferred(client.run(), "4.3.0")


# -- faults --------------------------------------------------------------------------------------


def test_nobody_there(client: PipeClient) -> None:
    assert deferred(client.run(), "4.3.2")
    assert not client.stamp.exists()


def test_nobody_listens(client: PipeClient) -> None:
    with socket.socket(socket.AF_UNIX) as unheard:
        unheard.bind(str(client.forwarder))
        assert deferred(client.run(), "4.3.2")


def test_a_forwarder_that_does_not_greet(client: PipeClient) -> None:
    """One waits 2 seconds and says so to the others, which then don't wait."""
    with socket.socket(socket.AF_UNIX) as frozen:
        frozen.bind(str(client.forwarder))
        frozen.listen(1)
        start = time.monotonic()
        assert deferred(client.run(), "4.3.2")
        assert 1.9 < time.monotonic() - start < 10
        assert client.stamp.exists()
        start = time.monotonic()
        for _ in range(5):
            assert deferred(client.run(), "4.3.2")
        assert time.monotonic() - start < 5
        client.stamp.unlink()
        connections = [socket.socket(socket.AF_UNIX) for _ in range(3)]
        for connection in connections:
            connection.setblocking(False)
            connection.connect_ex(str(client.forwarder))
        start = time.monotonic()
        assert deferred(client.run(), "4.3.2"), "its backlog is full"
        assert time.monotonic() - start < 5
        assert client.stamp.exists()
        for connection in connections:
            connection.close()


@pytest.mark.parametrize("age", [6.0, -60.0])
def test_a_stamp_that_does_not_count(client: PipeClient, service: Service, age: float) -> None:
    client.stamp.touch()
    then = time.time() - age
    os.utime(client.stamp, (then, then))
    assert client.run() == DELIVERED


def test_a_fresh_stamp_counts(client: PipeClient, service: Service) -> None:
    client.stamp.touch()
    assert deferred(client.run(), "4.3.2")
    client.stamp.unlink()
    assert client.run() == DELIVERED


@pytest.mark.parametrize("lines", range(13))
def test_a_hangup_at_each_step(tmp_path: Path, client: PipeClient, lines: int) -> None:
    def script(peer: Peer) -> None:
        replies = [b"220 x", b"250 lhlo", *[b"250 ok"] * 8, b"354 go on"]
        for reply in replies[:lines]:
            peer.say(reply + b"\r\n")
        if lines == 12:
            peer.read_until(b"\r\n.\r\n")

    with scripted_peer(tmp_path / "f", script):
        assert deferred(client.run(), "4.4.2")


def test_a_hangup_within_a_large_message(tmp_path: Path, client: PipeClient) -> None:
    def script(peer: Peer) -> None:
        peer.open()
        peer.take_envelope()
        peer.say(b"421 4.3.2 stopping\r\n")
        peer.sock.recv(100_000)

    with scripted_peer(tmp_path / "f", script):
        result = client.run(MESSAGE * 100_000)
    assert deferred(result, "4.3.2") or deferred(result, "4.4.2")


def stall_at_greeting(peer: Peer) -> None:
    peer.say(b"220")
    peer.await_hangup()


def stall_at_lhlo(peer: Peer) -> None:
    peer.say(b"220 x\r\n")
    peer.await_hangup()


def stall_after_data(peer: Peer) -> None:
    peer.open()
    peer.take_envelope()
    peer.await_hangup()


def drip(peer: Peer) -> None:
    peer.say(b"220 x\r\n")
    while True:
        peer.say(b"2")
        time.sleep(0.05)


@pytest.mark.parametrize("script", [stall_at_greeting, stall_at_lhlo, stall_after_data, drip])
def test_its_own_deadline(tmp_path: Path, client: PipeClient, script: Callable[[Peer], None]) -> None:
    with scripted_peer(tmp_path / "f", script):
        start = time.monotonic()
        result = client.run(deadline="0.5")
        assert deferred(result, "4.3.2" if script is stall_at_greeting else "4.4.2")
        assert time.monotonic() - start < 10


def test_a_stalled_writer(client: PipeClient, service: Service) -> None:
    process = client.start(deadline="0.5")
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(MESSAGE)
    process.stdin.flush()
    assert process.wait(10) == 75
    assert process.stdout.read().startswith(b"4.4.2 ")
    process.communicate()
    assert service.recorder.messages == []


@pytest.mark.parametrize("deadline", ["", "x", "-1", "nan"])
def test_a_senseless_deadline_waits(client: PipeClient, service: Service, deadline: str) -> None:
    result = client.run(deadline=deadline)
    assert result.status == 75
    assert result.output.startswith("4.")
    assert result.errors == ""


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_descriptors(client: PipeClient, service: Service, closed: int) -> None:
    """Whatever comes of it, it is no false success and no traceback."""
    command = [*client.argv()]
    process = subprocess.Popen(
        ["/bin/sh", "-c", f'exec "$@" {closed}{"<" if closed == 0 else ">"}&-', "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
        cwd=client.folder,
    )
    output, errors = process.communicate(MESSAGE)
    delivered = [data for _, data in service.recorder.messages]
    assert errors == b""
    if process.returncode == 0:
        assert delivered == [MESSAGE]
    else:
        assert process.returncode == 75
        assert delivered == []
        assert output == (b"" if closed == 1 else b"4.3.0 the pipe client failed: OSError\n")


@pytest.mark.parametrize(
    "damage",
    [
        lambda source: b"",
        lambda source: source[: len(source) // 2],
        lambda source: source[: source.index(b"class Talk")],
        lambda source: b"\0" * len(source),
        lambda source: b"#!/bin/sh\n",
        lambda source: source.replace(b"def main(", b"def other("),
        lambda source: b"raise RuntimeError('5.1.1 postmask: x')\n",
    ],
)
def test_a_damaged_file_waits(client: PipeClient, service: Service, damage: Callable[[bytes], bytes]) -> None:
    client.module.write_bytes(damage(client.module.read_bytes()))
    os.utime(client.module, (1, 1))  # what Python compiled before is known by date and size alone
    result = client.run()
    assert result.status != 0
    assert not result.output.startswith(("5", "2"))
    assert service.recorder.messages == []


def test_a_missing_file_waits(client: PipeClient, service: Service) -> None:
    client.module.unlink()
    result = client.run()
    assert result.status != 0
    assert not result.output.startswith(("5", "2"))


# -- the end of the message ----------------------------------------------------------------------

_FEEDER = """
import posix, sys, time
size, delay, argv = int(sys.argv[1]), float(sys.argv[2]), [word.encode("utf-8") for word in sys.argv[3:]]
reading, writing = posix.pipe()
if posix.fork() == 0:
    posix.dup2(reading, 0)
    posix.close(reading)
    posix.close(writing)
    posix.execv(argv[0], argv)
posix.close(reading)
left = b"x" * size + b"\\r\\n"
while left:
    left = left[posix.write(writing, left):]
time.sleep(delay)
posix.kill(posix.getpid(), 9)
"""


def killed_parent(client: PipeClient, size: int, delay: float) -> str:
    """What the client says when its parent is killed that long after it has written that much."""
    words = [os.fsdecode(word) for word in client.argv(parent="python3")]
    feeder = ["/usr/bin/python3", "-I", "-S", "-c", _FEEDER, str(size), str(delay), *words]
    # The client outlives its parent; its output ends when it does.
    done = subprocess.run(feeder, stdout=subprocess.PIPE, cwd=client.folder, env=ENVIRONMENT, timeout=60)
    assert done.returncode == -9
    return done.stdout.decode("ascii")


def test_a_killed_parent_delivers_nothing(client: PipeClient, service: Service) -> None:
    """At any moment: before the client runs, while it reads, and when it has all that was written."""
    dice = random.Random(1)
    kills = [(dice.choice([10, 60_000, 1_000_000]), dice.uniform(0, 0.04)) for _ in range(100)]
    with ThreadPoolExecutor(2) as pool:
        lines = list(pool.map(lambda kill: killed_parent(client, *kill), kills))
    assert set(lines) == {"4.3.0 pipe(8) ended before the message did\n"}
    assert service.recorder.messages == []


def test_a_parent_that_lives_delivers(client: PipeClient, service: Service) -> None:
    process = client.start()
    assert process.stdin is not None
    process.stdin.write(MESSAGE)
    process.stdin.close()
    assert process.wait(10) == 0
    assert len(service.recorder.messages) == 1
    for stream in (process.stdout, process.stderr):
        assert stream is not None
        stream.close()


def test_many_at_once(client: PipeClient, service: Service) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda number: client.run(b"%d\r\n" % number), range(40)))
    assert results == [DELIVERED] * 40
    assert sorted(int(data) for _, data in service.recorder.messages) == list(range(40))
