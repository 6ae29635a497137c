"""The benchmark of many nodes on one Postgres: what `make bench-nodes` runs. See docs/scaling.md.

    nodes.py [--nodes N] [--aliases N] [--changes N] [--seconds N] [--json]

So many agents, each with a replica of its own, reach one Postgres through a proxy that counts octets: their
first copies; then nothing happens for a while; then aliases are changed one by one. Last, the memory of
each program of one whole node, after RCPTs of aliases taken at random.

DIAGNOSTICS
    Exit status 0; 77: not root. RuntimeError: a replica wasn't current in time. There are no targets.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import rcpt
from directory import furnish
from sqlalchemy import Engine, text

import postgres
import replicas
from lab import lab
from outages import Proxy
from postmask.store.admin import aliases as admin
from postmask.store.engine import make_engine, parse_url
from postmask.store.roles import grant_node_role
from postmask.store.session import transaction
from postmask_postfix import lab as labs
from truth import made

_PATIENCE = 600.0
_SETTLING = 15.0
_STATISTICS = """
SELECT xact_commit + xact_rollback AS transactions,
       (SELECT count(*) FROM pg_stat_activity WHERE usename = :role) AS connections
FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The agents. engine: the owner's, past the proxy."""

    role: str
    engine: Engine
    counter: Proxy
    replicas: tuple[Path, ...]
    agents: tuple[subprocess.Popen[bytes], ...]

    def statistics(self) -> tuple[int, int]:
        """Transactions so far, and the agents' connections."""
        with self.engine.connect() as connection:
            row = connection.execute(text(_STATISTICS), {"role": self.role}).one()
        return int(row.transactions), int(row.connections)

    def await_current(self) -> None:
        """Until all replicas have all of the truth."""
        for folder in self.replicas:
            if not replicas.await_current(folder, self.engine, _PATIENCE):
                raise RuntimeError(f"{folder} isn't current within {_PATIENCE:.0f} s")


@contextlib.contextmanager
def fleet(directory: Path, url: str, count: int) -> Iterator[Fleet]:
    """So many agents on this database."""
    parsed, engine = parse_url(url), make_engine(url)
    role = f"{parsed.username}_node"
    grant_node_role(engine, role, "secret")
    counter = Proxy(int(parsed.port or 0))
    through = parsed.set(username=role, password="secret", port=counter.port)
    told = through.set(drivername="postgresql").render_as_string(hide_password=False)
    folders = [directory / f"node{number}" for number in range(count)]
    agents = []
    try:
        for folder in folders:
            folder.mkdir()
            config = folder / "postmask.toml"
            config.write_text(
                f'[node]\nname = "{folder.name}.test"\n[database]\nurl = "{told}"\n'
                f'[spool]\npath = "{folder}/spool.db"\n[replica]\ndirectory = "{folder}/directory"\n'
            )
            command = [sys.executable, "-m", "postmask.agent", "--config", str(config)]
            agents.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
        yield Fleet(role, engine, counter, tuple(one / "directory" for one in folders), tuple(agents))
    finally:
        for agent in agents:
            agent.terminate()
        for agent in agents:
            agent.wait()
        counter.close()
        engine.dispose()


def measure(one: Fleet, aliases: int, changes: int, seconds: float) -> dict[str, Any]:
    """The figures of the agents; per node, where nothing else is said."""
    count = len(one.agents)
    begun = time.monotonic()
    one.await_current()
    copied, copied_octets = time.monotonic() - begun, one.counter.octets
    time.sleep(_SETTLING)
    before, octets, cpu = one.statistics(), one.counter.octets, _cpu(one)
    time.sleep(seconds)
    after = one.statistics()
    idle_octets, idle_cpu = one.counter.octets - octets, _cpu(one) - cpu
    octets, begun = one.counter.octets, time.monotonic()
    for _ in range(changes):
        with transaction(one.engine) as session:
            address = f"a{random.randint(1, aliases)}@alias.test"
            admin.edit(session, address, note=f"changed {time.monotonic()}")
    one.await_current()
    took = time.monotonic() - begun
    changed = one.counter.octets - octets - idle_octets * took / seconds
    return {
        "nodes": count,
        "aliases": aliases,
        "first_copy": {"all_seconds": round(copied, 1), "mb": round(copied_octets / count / 1e6, 1)},
        "replica_mb": round(_octets(one.replicas[0]) / 1e6, 1),
        "connections": round(after[1] / count, 1),
        "idle": {
            "transactions_per_second": round((after[0] - before[0]) / seconds / count, 2),
            "octets_per_second": round(idle_octets / seconds / count),
            "agent_cpu_percent": round(idle_cpu / seconds / count * 100, 2),
        },
        "change": {"octets": round(changed / changes / count), "per_second": round(changes / took, 1)},
        "agent_mb": round(sum(_memory(agent.pid) for agent in one.agents) / count / 1e6, 1),
    }


def programs(directory: Path, url: str, aliases: int) -> dict[str, float]:
    """Program → MB of one whole node, after its look-ups."""
    with lab(directory / "lab", door="lmtp", database=url) as running:
        running.await_replica()
        running.postmask("postfix", "sync")
        asked = [f"a{random.randint(1, aliases)}@alias.test" for _ in range(2_000)]
        rcpt.milliseconds(running.described["smtp"], asked)
        pids = labs.status(running.directory)["pids"]
        names = ("agent", "milter-alias", "milter-scan", "forwarder")
        return {name: round(sum(map(_memory, pids[name])) / 1e6, 1) for name in names}


def _memory(pid: int) -> int:
    """Octets of a process, what it shares counted in parts (Pss)."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024


def _cpu(one: Fleet) -> float:
    """Seconds that the agents have computed so far."""
    ticks = 0
    for agent in one.agents:
        fields = Path(f"/proc/{agent.pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _octets(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("directory.*.db*"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Many nodes on one Postgres.")
    parser.add_argument("--nodes", type=int, default=10, help="agents (default 10)")
    parser.add_argument("--aliases", type=int, default=100_000, help="aliases (default 100000)")
    parser.add_argument("--changes", type=int, default=200, help="changes of aliases (default 200)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of idleness (default 60)")
    parser.add_argument("--json", action="store_true", help="print the figures on one line")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        print("bench: Postfix needs root: run this with sudo", file=sys.stderr)
        return os.EX_NOPERM
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="postmask-bench-") as name, postgres.running() as cluster:
        directory, url = Path(name), cluster.fresh()
        directory.chmod(0o755)
        with made(url) as truth:
            furnish(truth, arguments.aliases)
        with fleet(directory, url, arguments.nodes) as agents:
            found = measure(agents, arguments.aliases, arguments.changes, arguments.seconds)
        found["programs_mb"] = programs(directory, url, arguments.aliases)
    print(json.dumps(found, indent=None if arguments.json else 2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
