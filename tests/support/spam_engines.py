"""The real spamd and the real Rspamd, offline, with the configurations that we ship, each in a folder of
its own and on free loopback ports.

    with spamd() as engine:
        engine.address, engine.socket, engine.controller
        with engine.frozen(): ...
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import freezing
import postmask_postfix
from ports import free_port
from postmask.clock import Deadline, SystemClock
from postmask.spam.judgement import EngineError
from postmask.spam.rspamd import Rspamd
from postmask.spam.scanner import Installed
from postmask.spam.spamc import Spamd
from postmask_postfix import processes

OURS = Path(postmask_postfix.__file__).parent / "spam"
PASSWORD = "of the controller"

_OFFLINE = (
    *("rbl", "surbl", "fuzzy_check", "phishing", "mx_check", "asn", "neural", "replies", "history_redis"),
    *("spf", "dkim", "dmarc", "url_redirector", "reputation", "multimap", "known_senders", "hfilter"),
)
"""Modules of Rspamd that ask DNS, the web or Redis."""


@dataclass(frozen=True, slots=True)
class RunningEngine:
    """A daemon of ours. controller: for Rspamd another port; socket: it listens there as well."""

    name: str
    process: subprocess.Popen[bytes]
    address: tuple[str, int]
    controller: tuple[str, int]
    socket: Path

    def installed(
        self,
        address: tuple[str, int] | Path | None = None,
        *,
        connect: float = 10.0,
        total: float = 60.0,
        size_limit: int = 100_000_000,
        password: str = PASSWORD,
    ) -> Installed:
        """For a scanner; patient, unless it is time that is tested. address: a proxy's, say."""
        engine = Spamd() if self.name == "spamd" else Rspamd(password)
        where = address or self.address
        return Installed(self.name, engine, where, self.controller, connect, total, size_limit)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """It and its workers stopped by SIGSTOP."""
        with freezing.frozen(self.process.pid, *processes.children(self.process.pid)):
            yield


@contextlib.contextmanager
def spamd(more: str = "") -> Iterator[RunningEngine]:
    """Of SpamAssassin, without network tests, and with Bayes in its folder. more: settings beside ours."""
    with _folder("spamd") as folder:
        rules = folder / "rules"
        shutil.copytree("/etc/spamassassin", rules)
        shutil.copy(OURS / "spamd/postmask.cf", rules)
        (rules / "postmask_test.cf").write_text(f"bayes_path {folder}/bayes\n{more}")
        shutil.chown(folder, "nobody")
        port = free_port()
        command = [
            *("spamd", "--local", "--nouser-config", "--allow-tell", "--max-children", "2"),
            *("--min-children", "2", "--username", "nobody", "--helper-home-dir", str(folder)),
            *("--listen", f"127.0.0.1:{port}", "--listen", str(folder / "s"), "--socketmode", "0666"),
            *("--siteconfigpath", str(rules), "--syslog", "stderr"),
        ]
        place = ("127.0.0.1", port)
        with _running(command, folder) as process:
            engine = RunningEngine("spamd", process, place, place, folder / "s")
            _await(engine, folder)
            yield engine


@contextlib.contextmanager
def rspamd() -> Iterator[RunningEngine]:
    """With one worker, and Bayes in a file."""
    with _folder("rspamd") as folder:
        etc = folder / "etc"
        shutil.copytree("/etc/rspamd", etc)
        shutil.copytree(OURS / "rspamd/local.d", etc / "local.d", dirs_exist_ok=True)
        port, controller = free_port(), free_port()
        # What compiling takes half a minute for isn't what is tested: the world's top-level domains.
        (folder / "tld").write_text("com\norg\nnet\ntest\n")
        texts = {
            "worker-normal.inc": f'bind_socket = ["127.0.0.1:{port}", "{folder}/s mode=0666"]; count = 1;',
            "worker-controller.inc": f'bind_socket = "127.0.0.1:{controller}"; password = "{PASSWORD}";',
            "worker-fuzzy.inc": "enabled = false;",
            "logging.inc": 'type = "console";',
            "classifier-bayes.conf": 'backend = "sqlite3";',
            "options.inc": f'disable_hyperscan = true; url_tld = "{folder}/tld";'
            ' dns { nameserver = ["127.0.0.1:9"]; timeout = 0.1s; retransmits = 1; }',
            **{f"{module}.conf": "enabled = false;" for module in _OFFLINE},
        }
        for name, text in texts.items():
            (etc / "override.d" / name).write_text(text + "\n")
        folders = {name: folder / name.lower() for name in ("RUNDIR", "DBDIR", "LOGDIR")}
        for path in folders.values():
            path.mkdir()
        for path in [folder, *folder.rglob("*")]:
            shutil.chown(path, "_rspamd", "_rspamd")
        variables = {"CONFDIR": etc, "LOCAL_CONFDIR": etc, **folders}
        command = [
            *("rspamd", "-f", "-u", "_rspamd", "-g", "_rspamd", "-c", str(etc / "rspamd.conf")),
            *(f"--var={name}={path}" for name, path in variables.items()),
        ]
        with _running(command, folder) as process:
            engine = RunningEngine(
                "rspamd", process, ("127.0.0.1", port), ("127.0.0.1", controller), folder / "s"
            )
            _await(engine, folder)
            yield engine


@contextlib.contextmanager
def _folder(name: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    environ = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _await(engine: RunningEngine, folder: Path) -> None:
    clock = SystemClock()
    limit = time.monotonic() + 120
    while not _answers(lambda: engine.installed().ping(Deadline.after(clock, 5))):
        log = (folder / "log").read_text(errors="replace")[-2_000:]
        assert engine.process.poll() is None, f"{engine.name} has ended\n{log}"
        assert time.monotonic() < limit, f"{engine.name} isn't ready\n{log}"
        time.sleep(0.05)


def _answers(ask: Callable[[], None]) -> bool:
    try:
        ask()
    except EngineError:
        return False
    return True
