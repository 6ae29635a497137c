"""The ways that are compared, each with a Postfix and a sink of its own.

relay   smtpd, queue, smtp: what Postfix itself costs
limit   the same, and between them lmtp(8), the reinjector, and a second pass through the queue,
        over the very services that the product uses: no rewriting forwarder can be faster
lmtp    Postmask by the lmtp door: gate, alias milter, rewriting, DKIM, ledger, events; SQLite
pipe    the same by the pipe door
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sinks import Sink, sink

from lab import lab
from nameserver import Nameserver
from ports import free_port
from postmask.clock import SystemClock
from postmask.config import load
from postmask.spool import Spool
from postmask_postfix import processes, render
from postmask_postfix.instance import Instance
from postmask_postfix.lab.postfix import started
from postmask_postfix.services import SERVICES
from postmask_postfix.settings import GENERATION, SettingsContext

MAILBOX = "jane@real.test"
ALIAS = "shop@alias.test"
SENDER_DOMAIN = "shop.example"
LIMIT_DOMAIN = "limit.test"
_TTL = 300
"""Seconds for which the sender's records may be kept: what many have."""

_LMTP_PROCESSES = 20
"""lmtp(8) processes of the limit: as many as its destination concurrency, so that nothing caps it."""


def _settled() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Way:
    """One running way.

    recipient: whom its messages go to. master: pid of Postfix's master. programs: name → pid.
    settled:   whether the work that follows a delivery is done too.
    """

    name: str
    title: str
    smtp: str
    recipient: str
    log: Path
    sink: Sink
    master: int
    programs: Mapping[str, int] = field(default_factory=dict)
    settled: Callable[[], bool] = _settled


@contextlib.contextmanager
def relay(directory: Path) -> Iterator[Way]:
    """Plain relay."""
    with sink(directory, "relay") as end, _instance(directory / "relay", end, {}, "") as (instance, smtp):
        yield Way("relay", "plain relay", smtp, MAILBOX, instance.log, end, _master(instance))


@contextlib.contextmanager
def limit(directory: Path) -> Iterator[Way]:
    """The limit for any rewriting forwarder."""
    context = SettingsContext("lmtp", pipe_argv=("/bin/false",), lmtp_processes=_LMTP_PROCESSES)
    ours = render.main_cf(context, {})
    main_cf = {name: value for name, value in ours.items() if name.startswith("postmask-lmtp_")}
    main_cf |= {"transport_maps": f"inline:{{ {LIMIT_DOMAIN}={context.nexthop} }}", GENERATION: "0"}
    services = [service for service in SERVICES if service.command != "pipe"]
    with (
        sink(directory, "limit") as end,
        _instance(directory / "limit", end, main_cf, render.master_cf(context, services)) as (instance, smtp),
        _reinjector(instance) as pid,
    ):
        title = "the limit: lmtp(8), re-injection"
        recipient = f"anyone@{LIMIT_DOMAIN}"
        yield Way("limit", title, smtp, recipient, instance.log, end, _master(instance), {"reinjector": pid})


@contextlib.contextmanager
def postmask(
    directory: Path, door: str, database: str | None = None, engine: str | None = None
) -> Iterator[Way]:
    """Ours, by a door. database: Postgres's URL; None for SQLite. engine: where a spamd listens; None for
    mail unscanned."""
    with (
        sink(directory, door) as end,
        contextlib.closing(Nameserver(ttl=_TTL)) as names,
        lab(
            directory / door,
            door=door,
            sink=end.address,
            database=database,
            nameserver=names.text,
            spamd=engine,
        ) as running,
    ):
        names.txt(SENDER_DOMAIN, "v=spf1 ip4:127.0.0.0/8 -all")
        names.txt(f"_dmarc.{SENDER_DOMAIN}", "v=DMARC1; p=reject")
        running.postmask("domain", "add", ALIAS.rpartition("@")[2], "--postmaster", "postmaster@real.test")
        running.postmask("mailbox", "add", MAILBOX, "--verified")
        running.postmask("alias", "add", ALIAS, "--to", MAILBOX)
        pids = running.described["pids"]
        outbox = Spool(load(running.config).spool.path, SystemClock())
        yield Way(
            door,
            f"Postmask, {door} door",
            running.described["smtp"],
            ALIAS,
            Path(running.described["log"]),
            end,
            pids["postfix"][0],
            {name: pids[name][0] for name in ("forwarder", "milter-alias", "milter-scan", "agent")},
            lambda: not outbox.outbox_state()[0],
        )
        outbox.close()


@contextlib.contextmanager
def all_ways() -> Iterator[list[Way]]:
    """All of them, running, in a folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="postmask-bench-") as name, contextlib.ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        yield [
            stack.enter_context(relay(directory)),
            stack.enter_context(limit(directory)),
            stack.enter_context(postmask(directory, "lmtp")),
            stack.enter_context(postmask(directory, "pipe")),
        ]


@contextlib.contextmanager
def _instance(
    directory: Path, end: Sink, main_cf: Mapping[str, str], master_cf: str
) -> Iterator[tuple[Instance, str]]:
    """A Postfix that relays to the sink, and where it listens."""
    instance = Instance(directory)
    port = free_port()
    instance.write({**instance.base_parameters(end.address), **main_cf}, master_cf, port)
    with started(instance, port):
        pass
    try:
        yield instance, f"127.0.0.1:{port}"
    finally:
        instance.run("stop")


@contextlib.contextmanager
def _reinjector(instance: Instance) -> Iterator[int]:
    """The limit's daemon; its pid."""
    sockets = instance.queue / "postmask"
    sockets.mkdir()
    reinject = instance.queue / "public" / "postmask-reinject"
    script = Path(__file__).with_name("reinjector.py")
    command = [sys.executable, str(script), str(sockets / "forwarder.sock"), str(reinject)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        if process.stdout.readline() != "ready\n":
            raise RuntimeError("the reinjector did not start")
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _master(instance: Instance) -> int:
    pid = instance.master_pid()
    assert pid is not None
    assert processes.alive(pid)
    return pid
