"""Daemon basics on real sockets and real processes: who listens where, how a program ends."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmask import disk
from postmask.daemon import (
    SocketError,
    Stop,
    begin,
    connect_unix,
    listen_unix,
    notify,
    peer_uid,
)

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "service.sock"


@pytest.fixture
def listener(path: Path) -> Iterator[socket.socket]:
    with listen_unix(path) as listening:
        yield listening


@contextlib.contextmanager
def played(user: int) -> Iterator[None]:
    """This process as another user, who may use /proc/self like one who was that from the start."""
    os.seteuid(user)
    try:
        assert ctypes.CDLL(None).prctl(4, 1) == 0  # PR_SET_DUMPABLE
        yield
    finally:
        os.seteuid(0)


def refusal(path: Path, **options: str) -> str:
    with pytest.raises(SocketError) as caught:
        listen_unix(path, **options)  # type: ignore[arg-type]
    assert caught.value.filename == str(path)
    return str(caught.value).removeprefix(f"{path}: ")


class TestListening:
    def test_a_connection(self, path: Path, listener: socket.socket) -> None:
        with connect_unix(path, 5.0) as client, listener.accept()[0] as server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"
            assert peer_uid(server) == os.geteuid()
            assert client.gettimeout() == 5.0
        assert [entry.name for entry in path.parent.iterdir()] == ["service.sock"]

    def test_mode(self, path: Path) -> None:
        with listen_unix(path, mode=0o606):
            assert stat.S_IMODE(path.stat().st_mode) == 0o606

    def test_group(self, path: Path) -> None:
        with listen_unix(path, group="nogroup"):
            assert path.stat().st_gid == NOBODY

    def test_unknown_group(self, path: Path) -> None:
        assert refusal(path, group="no-such-group").endswith("no-such-group, which does not exist")
        assert not list(path.parent.iterdir())

    def test_nothing_is_left_of_one_that_fails(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def failing(*_: object, **__: object) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "chmod", failing)
        assert refusal(path) == "can't be listened on: Operation not permitted"
        assert not list(path.parent.iterdir())

    def test_a_path_beyond_the_kernel_s_limit(self, tmp_path: Path) -> None:
        folder = tmp_path / ("d" * 120) / ("e" * 120)
        folder.mkdir(parents=True)
        path = folder / "service.sock"
        with listen_unix(path) as listening, connect_unix(path, 5.0), listening.accept()[0]:
            pass

    def test_through_a_folder_that_nobody_may_look_into(self) -> None:
        """Like Postfix's public/, which its setgid_group may pass through."""
        with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
            folder = Path(name)
            folder.chmod(0o711)
            with listen_unix(folder / "service.sock", mode=0o666) as listening, played(NOBODY):
                with pytest.raises(PermissionError):
                    os.listdir(folder)
                with connect_unix(folder / "service.sock", 5.0), listening.accept()[0]:
                    pass

    def test_a_stale_socket_is_replaced(self, path: Path) -> None:
        listen_unix(path).close()
        assert path.exists()
        with listen_unix(path), connect_unix(path, 5.0):
            pass

    def test_no_time_at_all_is_no_wait_for_ever(self, path: Path) -> None:
        """A deadline that passes between a look at it and the connecting."""
        with listen_unix(path, backlog=0), connect_unix(path, 5.0), pytest.raises(TimeoutError):
            connect_unix(path, 0.0)

    def test_a_live_one_is_left_alone(self, path: Path, listener: socket.socket) -> None:
        assert refusal(path) == "another program is listening there; stop it first"
        with connect_unix(path, 5.0), listener.accept()[0]:
            pass

    def test_a_live_one_with_a_full_backlog_is_alive_too(self, path: Path) -> None:
        with listen_unix(path, backlog=0), connect_unix(path, 5.0):
            assert refusal(path) == "another program is listening there; stop it first"

    def test_what_is_no_socket_is_left_alone(self, path: Path) -> None:
        path.write_text("precious")
        assert refusal(path) == "is no socket; remove it"
        assert path.read_text() == "precious"

    def test_a_folder_that_somebody_keeps_locked(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("postmask.disk._LOCK_SECONDS", 0.2)
        with disk.locked(path.parent):
            assert refusal(path) == "can't be listened on: another process has locked it for 0.2 s"

    def test_no_folder(self, tmp_path: Path) -> None:
        path = tmp_path / "none" / "service.sock"
        assert refusal(path) == f"there is no folder {tmp_path / 'none'}; create it"

    def test_of_many_that_start_at_once_one_gets_it(self, path: Path) -> None:
        listen_unix(path).close()
        barrier = threading.Barrier(8)
        won: list[socket.socket] = []

        def start() -> None:
            barrier.wait()
            try:
                won.append(listen_unix(path))
            except SocketError:
                return

        threads = [threading.Thread(target=start) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = won
        with winner, connect_unix(path, 5.0), winner.accept()[0]:
            pass

    def test_systemd_s_socket_is_taken_by_its_name(self, path: Path) -> None:
        program = f"""
import os, sys
from pathlib import Path
from postmask.daemon import listen_unix
os.environ["LISTEN_PID"] = str(os.getpid())
listening = listen_unix(Path({str(path)!r}))
assert not os.get_inheritable(listening.fileno())
listening.accept()[0].sendall(b"inherited")
"""
        with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as mine:
            other.bind(str(path.with_name("other.sock")))
            mine.bind(str(path))
            mine.listen()
            # The program finds them as descriptors 3 and 4, as systemd hands them over.
            script = f'exec 3<&{other.fileno()} 4<&{mine.fileno()}; exec {sys.executable} -c "$PROGRAM"'
            process = subprocess.Popen(
                ["bash", "-c", script],
                pass_fds=(other.fileno(), mine.fileno()),
                env=os.environ
                | {"PROGRAM": program, "LISTEN_FDS": "2", "LISTEN_FDNAMES": "other.sock:service.sock"},
            )
            with connect_unix(path, 30.0) as client:
                assert client.recv(100) == b"inherited"
            assert process.wait(30) == 0

    def test_another_process_s_sockets_are_not_ours(self, path: Path) -> None:
        environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": path.name}
        with listen_unix(path, environ=environ), connect_unix(path, 5.0):
            pass


class TestConnecting:
    def test_nobody_there(self, path: Path) -> None:
        with pytest.raises(FileNotFoundError):
            connect_unix(path, 5.0)
        with pytest.raises(FileNotFoundError):
            connect_unix(path / "below", 5.0)
        listen_unix(path).close()
        with pytest.raises(ConnectionRefusedError):
            connect_unix(path, 5.0)

    def test_a_full_backlog_is_waited_for(self, path: Path) -> None:
        with listen_unix(path, backlog=0) as listening, connect_unix(path, 5.0):
            for seconds in (0.05, 1e-9):  # the kernel counts microseconds, of which none is no end
                with pytest.raises(TimeoutError, match="nobody took the connection in time"):
                    connect_unix(path, seconds)
            taker = threading.Thread(target=lambda: listening.accept()[0].close())
            taker.start()
            connect_unix(path, 30.0).close()
            taker.join()

    def test_the_peer_is_who_connected(self) -> None:
        with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
            folder = Path(name)
            folder.chmod(0o755)
            path = folder / "service.sock"
            program = f"import socket; socket.socket(socket.AF_UNIX).connect({str(path)!r})"
            with listen_unix(path, mode=0o666) as listening:
                subprocess.run(["/usr/bin/python3", "-I", "-S", "-c", program], user=NOBODY, check=True)
                with listening.accept()[0] as server:
                    assert peer_uid(server) == NOBODY


class TestNotify:
    def test_to_a_path(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            notify("READY=1", {"NOTIFY_SOCKET": str(tmp_path / "notify")})
            assert manager.recv(100) == b"READY=1"

    def test_to_an_abstract_name(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind("")  # the kernel chooses an abstract name
            name = manager.getsockname()[1:].decode()
            notify("STATUS=Grüße", {"NOTIFY_SOCKET": f"@{name}"})
            assert manager.recv(100) == "STATUS=Grüße".encode()

    @pytest.mark.parametrize(
        "address", [None, "", "vsock:2:1234", "/nowhere/notify", "@nobody-listens-there"]
    )
    def test_nobody_to_tell(self, address: str | None) -> None:
        notify("READY=1", {} if address is None else {"NOTIFY_SOCKET": address})


PROGRAM = """
import signal, sys, threading
from postmask import log
from postmask.daemon import Stop
signal.signal(signal.SIGHUP, signal.Handlers[sys.argv[1]])
stop = Stop.install()
log.setup("postmask-test", "info")
threading.Thread(target=threading.Event().wait, daemon=True).start()
drained = threading.Event()
def drain():
    print("draining", flush=True)
    sys.stdin.readline()
    drained.set()
stop.on_request(drain)
print("ready", flush=True)
stop.wait()
drained.wait()
print("drained", flush=True)
"""


@pytest.fixture
def hangup() -> str:
    """What is done with a SIGHUP at the program's start."""
    return "SIG_DFL"


@pytest.fixture
def process(hangup: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, hangup],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert said(running) == "ready"
        yield running
        running.kill()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


class TestStop:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_the_first_signal_drains(self, process: subprocess.Popen[str], number: signal.Signals) -> None:
        process.send_signal(number)
        assert said(process) == "draining"
        out, err = process.communicate("go on\n", timeout=30)
        assert out == "drained\n"
        assert process.returncode == 0
        assert err.endswith(f"postmask-test: stopping on {number.name}\n")

    def test_the_second_ends_at_once(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGTERM)
        assert said(process) == "draining"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 1
        assert process.stderr is not None
        assert process.stderr.read().endswith("postmask-test: warning: ending at once on a second SIGINT\n")

    def test_callbacks_are_called_once_even_late_and_in_spite_of_each_other(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        stop = Stop()
        called: list[str] = []

        def fail() -> None:
            raise OSError(errno.EIO, "broken")

        stop.on_request(fail)
        stop.on_request(lambda: called.append("first"))
        assert not stop.requested
        assert not stop.wait(0)
        stop.request()
        stop.request()
        stop.on_request(lambda: called.append("late"))
        assert stop.requested
        assert stop.wait(0)
        assert called == ["first", "late"]
        assert "could not be told to stop" in caplog.text

    @pytest.mark.parametrize("hangup", ["SIG_IGN"])
    def test_what_nohup_ignores_ends_nothing(self, process: subprocess.Popen[str]) -> None:
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        assert said(process) == "draining"
        process.communicate("go on\n", timeout=30)
        assert process.returncode == 0


LOST = """
import threading, time
from postmask import daemon, log
log.setup("postmask-test", "info")
def work():
    raise MemoryError("me@real.test")
daemon.begin(daemon.lasting("worker", work))
time.sleep(60)
"""

NO_MEMORY = """
import contextlib, resource, threading
from pathlib import Path
from postmask import daemon
daemon.threads._SECONDS = 1.0
daemon.begin(threading.Thread(target=threading.Event().wait, daemon=True))
daemon.begin(threading.Thread(target=int))  # whose stack, a moment later, is there for the next one
size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))
while True:
    with contextlib.suppress(OSError, MemoryError):  # the next one is tried at once
        daemon.begin(threading.Thread(target=int))
"""


class TestThreads:
    def test_one_that_was_to_last_takes_the_program_with_it(self) -> None:
        done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, timeout=60)
        assert done.returncode == os.EX_SOFTWARE
        said = (
            "fatal: the program ends: it can't do without its thread worker error=\"MemoryError at <string>:6"
        )
        assert said in done.stderr
        assert "me@real.test" not in done.stderr

    def test_one_that_is_born_without_memory_ends_the_program(self) -> None:
        done = subprocess.run([sys.executable, "-c", NO_MEMORY], capture_output=True, text=True, timeout=60)
        assert done.returncode == -signal.SIGALRM, done.stderr
        assert "MemoryError" in done.stderr

    def test_one_that_runs_leaves_no_alarm_and_keeps_another_s(self) -> None:
        before = signal.setitimer(signal.ITIMER_REAL, 100.0)
        try:
            begin(threading.Thread(target=int))
            assert 90.0 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100.0
            signal.setitimer(signal.ITIMER_REAL, 0.0)
            begin(threading.Thread(target=int))
            assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
        finally:
            signal.setitimer(signal.ITIMER_REAL, *before)
