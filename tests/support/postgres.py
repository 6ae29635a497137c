"""A throw-away PostgreSQL cluster on a free loopback port, for one test session.

Nothing of a running server is used. The server refuses to run as root, so it runs as `postgres` when
the tests do. fsync is off: nothing here has to outlive the session.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import sql
from sqlalchemy import make_url

import freezing
from ports import free_port

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "listen_addresses": "'127.0.0.1'",
    "max_connections": "60",
    "shared_buffers": "16MB",
    "autovacuum": "off",
    "logging_collector": "off",
    "log_min_messages": "warning",
}


class PostgresMissing(Exception):
    """There are no server programs on this machine."""


@dataclass(slots=True)
class Cluster:
    """A running server. password: of the superuser "postgres" on it."""

    bin: Path
    data: Path
    port: int
    password: str
    made: int = field(default=0)

    def url(self, database: str = "postgres", user: str = "postgres", password: str | None = None) -> str:
        """A URL for SQLAlchemy and the programs."""
        return f"postgresql://{user}:{password or self.password}@127.0.0.1:{self.port}/{database}"

    def fresh(self, like: str = "") -> str:
        """The owner's URL of a new, empty database. The owner may make roles, and is no superuser.

        like: further options of CREATE DATABASE.
        """
        self.made += 1
        name = f"postmask_{self.made}_{secrets.token_hex(3)}"
        password = secrets.token_hex(8)
        with self._superuser() as cursor:
            cursor.execute(
                sql.SQL("CREATE ROLE {} LOGIN CREATEROLE PASSWORD {}").format(
                    sql.Identifier(name), sql.Literal(password)
                )
            )
            cursor.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(sql.Identifier(name), sql.Identifier(name))
                + sql.SQL(f" {like}")
            )
        return self.url(name, name, password)

    def entrust(self, url: str, nodes_url: str) -> None:
        """Let an owner set the password of a role that another owner made: Postgres 16 asks for that."""
        owner, role = (str(make_url(one).username) for one in (url, nodes_url))
        with self._superuser() as cursor:
            names = sql.Identifier(role), sql.Identifier(owner)
            cursor.execute(sql.SQL("GRANT {} TO {} WITH ADMIN OPTION").format(*names))

    def copy(self, url: str) -> str:
        """The owner's URL of a new database with the content of another, to which nobody is connected."""
        head, _, template = url.rpartition("/")
        self.made += 1
        name = f"{template}_{self.made}"
        with self._superuser() as cursor:
            cursor.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER {}").format(
                    sql.Identifier(name), sql.Identifier(template), sql.Identifier(template)
                )
            )
        return f"{head}/{name}"

    def drop(self, url: str) -> None:
        """Remove a database again: each takes 8 MB."""
        name = sql.Identifier(url.rpartition("/")[2])
        with self._superuser() as cursor:
            cursor.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """All of the server's processes stopped by SIGSTOP: it keeps its connections and says nothing."""
        # Once the first is frozen none is born, nor does one end for good.
        with freezing.frozen(self.pid), freezing.frozen(*_children(self.pid)):
            yield

    def command(self, statement: str) -> None:
        """One statement, as the superuser."""
        with self._superuser() as cursor:
            cursor.execute(statement)

    def ask(self, statement: str) -> Any:
        """The first value of a query, as the superuser."""
        with self._superuser() as cursor:
            cursor.execute(statement)
            return (cursor.fetchone() or [None])[0]

    def disconnect_all(self) -> None:
        """End every session but this one, whatever it is doing."""
        with self._superuser() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """The server down; up again afterwards."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    def start(self) -> None:
        """Returns when the server answers."""
        self._control("start", "-w", "-o", f"-p {self.port} -k {self.data}", "-l", str(self.data / "log"))

    def stop(self) -> None:
        """Ends the server at once, dropping its connections."""
        self._control("stop", "-w", "-m", "immediate")

    def open_to_the_wire(self, *settings: str, by: str = "host") -> None:
        """Others on the wire may connect, with their passwords. by: hostssl, with TLS alone."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{line}\n" for line in ("listen_addresses = '*'", *settings))
        with (self.data / "pg_hba.conf").open("a") as file:
            file.write(f"{by} all all samenet scram-sha-256\n")
        self.stop()
        self.start()

    def elsewhere(self) -> Cluster:
        """The same server as it will be on another port: for when it is stopped here."""
        return replace(self, port=free_port())

    def promoted_standby(self, folder: Path) -> Cluster:
        """A standby, as if it had got no change from now on, made ready to be started in our place.

        It takes our port; `start` it when we are stopped, and it is promoted: timeline 2.
        """
        standby = self._copied(folder)
        (standby.data / "standby.signal").touch()
        return standby

    def following_standby(self, folder: Path) -> Cluster:
        """A standby on a port of its own, ready to be started: it follows us, and answers."""
        return replace(self._copied(folder, "--write-recovery-conf"), port=free_port())

    def _copied(self, folder: Path, *options: str) -> Cluster:
        folder.mkdir(mode=0o755)
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        copy = replace(self, data=folder / "data")
        source = f"host=127.0.0.1 port={self.port} user=postgres password={self.password}"
        _as_postgres(
            str(self.bin / "pg_basebackup"), "-D", str(copy.data), "-d", source, "-X", "fetch",
            "--checkpoint", "fast", "--no-sync", *options,
        )  # fmt: skip
        # Our socket lies in the data, and its lock was copied.
        (copy.data / f".s.PGSQL.{self.port}.lock").unlink(missing_ok=True)
        return copy

    @contextlib.contextmanager
    def set_back(self) -> Iterator[None]:
        """What happens in the block hasn't: our files are put back, as by a machine's snapshot."""
        self.stop()
        kept = self.data.with_name("kept")
        _as_postgres("cp", "-a", str(self.data), str(kept))
        self.start()
        try:
            yield
        finally:
            self.stop()
            shutil.rmtree(self.data)
            kept.rename(self.data)
            self.start()

    def has_all_of(self, primary: Cluster) -> bool:
        """Whether a standby has what its primary has now."""
        written = primary.ask("SELECT pg_current_wal_lsn()")
        return bool(self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{written}'::pg_lsn"))

    def promote(self) -> None:
        """Let a standby become a server of its own; it takes writes on return."""
        self._control("promote", "-w")

    @contextlib.contextmanager
    def _superuser(self) -> Iterator[psycopg2.extensions.cursor]:
        connection = psycopg2.connect(self.url())
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor
        finally:
            connection.close()

    def _control(self, *arguments: str) -> None:
        _as_postgres(str(self.bin / "pg_ctl"), "-D", str(self.data), *arguments)


@contextlib.contextmanager
def running(port: int | None = None, password: str | None = None) -> Iterator[Cluster]:
    """A cluster that lives as long as the block. Raises PostgresMissing.

    port, password: as those of a cluster that is stopped, whose place it takes; else its own.
    """
    programs = _programs()
    root = Path(tempfile.mkdtemp(prefix="postmask-pg-"))
    try:
        if os.geteuid() == 0:
            postgres = pwd.getpwnam("postgres")
            os.chown(root, postgres.pw_uid, postgres.pw_gid)
        cluster = Cluster(programs, root / "data", port or free_port(), password or secrets.token_hex(8))
        _initialise(cluster, root)
        cluster.start()
        try:
            yield cluster
        finally:
            cluster.stop()
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _initialise(cluster: Cluster, root: Path) -> None:
    password_file = root / "password"
    password_file.write_text(cluster.password)
    password_file.chmod(0o644)
    _as_postgres(
        str(cluster.bin / "initdb"),
        "--pgdata", str(cluster.data), "--username", "postgres", "--pwfile", str(password_file),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
    )  # fmt: skip
    lines = "".join(f"{name} = {value}\n" for name, value in _SETTINGS.items())
    with (cluster.data / "postgresql.conf").open("a") as settings:
        settings.write(lines)


def _as_postgres(*command: str) -> None:
    """Run a program as the user that the server insists on. Raises with what it printed."""
    root = os.geteuid() == 0
    # Not into a pipe: the server inherits it and would keep it open.
    with tempfile.TemporaryFile("w+") as said:
        done = subprocess.run(
            command,
            stdout=said,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd="/",
            user="postgres" if root else None,
            group="postgres" if root else None,
            extra_groups=[] if root else None,
            check=False,
        )
        if done.returncode:
            said.seek(0)
            raise RuntimeError(f"{' '.join(command[:3])}: {said.read()}")


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("initdb")
    if on_path is None:
        raise PostgresMissing("no PostgreSQL server programs (apt-get install postgresql)")
    return Path(on_path).resolve().parent


def _children(pid: int) -> list[int]:
    deadline = time.monotonic() + 1
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    while time.monotonic() < deadline:
        with contextlib.suppress(FileNotFoundError):
            return [int(child) for child in listed.read_text().split()]
    return []
