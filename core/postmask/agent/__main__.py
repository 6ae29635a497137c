"""postmask-agent: carries what this node learned (contacts, events, bounces) to the truth, and on
Postgres keeps the node's replica of the directory.

    postmask-agent [--config FILE]

runs in the foreground, with log lines on standard error and systemd notified once it runs. Mail does
not wait for it: while it is down, or the database is, the node's spool keeps everything.

DIAGNOSTICS
    Exit status 78 (EX_CONFIG): the configuration is not as it must be. 74 (EX_IOERR): the spool can't
    be opened. Otherwise 0, after SIGTERM or SIGINT.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from postmask.clock import Clock
    from postmask.config import Settings
    from postmask.daemon import Stop

_LAST_SECONDS = 3.0
"""For what the replica's thread has in hand when the program ends."""


@click.command()
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The configuration file. [default: $POSTMASK_CONFIG, else /etc/postmask/postmask.toml]",
)
def main(config: Path | None) -> None:
    """Carry contacts, events and bounces to the database.

    Example: postmask-agent --config /etc/postmask/postmask.toml
    """
    # Imported here: --help needs none of it.
    from postmask import daemon, log
    from postmask.agent.housekeeping import Housekeeping
    from postmask.agent.outbox import OutboxCarrier
    from postmask.agent.rounds import Rounds
    from postmask.clock import SystemClock
    from postmask.config import ConfigError, load
    from postmask.spool import Spool, SpoolError
    from postmask.store.engine import Use, make_engine
    from postmask.store.errors import StoreError

    stop = daemon.Stop.install()
    clock = SystemClock()
    try:
        settings = load(config)
        log.setup("postmask-agent", settings.log.level)
        engine = make_engine(settings.database.url, Use.INTAKE)
        spool = Spool(settings.spool.path, clock)
    except (ConfigError, StoreError) as error:
        click.echo(f"postmask-agent: {error}", err=True)
        sys.exit(os.EX_CONFIG)
    except SpoolError as error:
        click.echo(f"postmask-agent: {error}", err=True)
        sys.exit(os.EX_IOERR)
    daemon.notify("READY=1")
    following = follow(settings, clock, stop)
    node = settings.node.name
    housekeeping = Housekeeping(spool, engine, node, settings.retention.events_days, clock)
    Rounds(OutboxCarrier(spool, engine, node), housekeeping, stop).run()
    daemon.notify("STOPPING=1")
    if following is not None:
        following.join(_LAST_SECONDS)
    spool.close()


def follow(settings: Settings, clock: Clock, stop: Stop) -> threading.Thread | None:
    """Keep the replica from now on, in a thread of its own; None: with SQLite there is none."""
    from postmask.agent.replica.follower import Follower
    from postmask.store.engine import Use, make_engine, sqlite_path
    from postmask.store.replica.folder import Folder

    url = settings.database.url
    if sqlite_path(url) is not None:
        return None
    folder = Folder(settings.replica.directory)
    follower = Follower(make_engine(url, Use.FEED), folder, clock, stop, settings.replica.poll)
    thread = threading.Thread(target=follower.run, name="replica", daemon=True)
    thread.start()
    return thread


if __name__ == "__main__":
    main()
