"""A host's own mail without us: our programs hung, then dead, our files noise, then gone, our database dead.

    hung(site)
    without_database(site, cluster)
    dead_and_gone(site)

Nobody of the host's is refused, or waits longer than for the milters' time-outs and a second a session; only
our mail waits. The site is attached before and as good as new afterwards.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from lab import IDLE
from postgres import Cluster
from sites import DOMAIN, Site

DEAD_SECONDS = 1.0
HUNG_SECONDS = 2 * 2 * 2.0 + DEAD_SECONDS
"""Two milters' command_timeout before EHLO, and again where XCLIENT begins a new session."""
SLACK = 15.0
"""For a busy machine. Postfix's own time-outs for milters would make it two minutes."""
FILES = ("postmask.toml", "keys", "pipe", "postmask.db*", "directory", "spool.db*", "queue/postmask")
"""All of ours but the record beside main.cf. Postfix reads the pipe client, and talks to the sockets."""


def hung(site: Site) -> None:
    """Each of our programs is stopped."""
    with site.frozen(*IDLE):
        site.send_own("hung", HUNG_SECONDS + SLACK)


def without_database(site: Site, cluster: Cluster) -> None:
    """The database is down: mail to a known alias flows as well."""
    with cluster.stopped():
        site.send_own("no database", DEAD_SECONDS + SLACK)
        assert site.send("SMTP", f"shop@{DOMAIN}", "no database", inside=True) == 250
        site.await_title("no database", "me@real.test")


def dead_and_gone(site: Site) -> None:
    """Our programs are dead, our files noise, then gone; with all of it back what waited arrives."""
    site.send_signal("forwarder", signal.SIGKILL)
    assert site.send("SMTP", f"shop@{DOMAIN}", "late", inside=True) == 250
    for program in IDLE:
        if program != "forwarder":
            site.send_signal(program, signal.SIGKILL)
    site.send_own("dead", DEAD_SECONDS + SLACK)
    with _noise(site) as files:
        site.flush()
        site.send_own("noise", DEAD_SECONDS + SLACK)
        for file in files:
            _remove(file)
        site.flush()
        site.send_own("gone", DEAD_SECONDS + SLACK)
        assert site.send("SMTP", f"shop@{DOMAIN}", "not now", inside=True) == 451
    site.up()
    site.flush()
    site.await_title("late", "me@real.test")


@contextlib.contextmanager
def _noise(site: Site) -> Iterator[list[Path]]:
    """Each of our files has noise in it; they are back at the end."""
    found = [path for pattern in FILES for path in site.directory.glob(pattern)]
    aside = site.directory / "aside"
    aside.mkdir()
    for path in found:
        path.rename(aside / path.name)
        _fill(path, aside / path.name)
    try:
        yield found
    finally:
        for path in found:
            _remove(path)
            (aside / path.name).rename(path)
        aside.rmdir()


def _fill(path: Path, like: Path) -> None:
    if not like.is_dir():
        path.write_bytes(b"\0\xffnoise\n" * 1000)
        path.chmod(0o755)
        return
    path.mkdir(mode=0o755)
    for other in like.iterdir():
        _fill(path / other.name, other)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
