"""postmask-agent: carries what this node learned (contacts, events, bounces) to the truth, and on
Postgres keeps the node's replica of the directory.

    postmask-agent [--config FILE]

runs in the foreground, with log lines on standard error and systemd notified once it runs. Mail does
not wait for it: while it is down, or the database is, the node's spool keeps everything. When the
configuration names another database, to which the truth was moved, it goes on with that one.

DIAGNOSTICS
    Exit status 78 (EX_CONFIG): the configuration is not as it must be. 74 (EX_IOERR): the spool can't
    be opened. 70 (EX_SOFTWARE): a thread ended that is to last. Otherwise 0, after SIGTERM, SIGINT or SIGHUP.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


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
    from postmask.agent.service import serve
    from postmask.clock import SystemClock
    from postmask.config import ConfigError, Settings, load
    from postmask.spool import Spool, SpoolError
    from postmask.store.engine import parse_url
    from postmask.store.errors import StoreError

    stop = daemon.Stop.install()
    clock = SystemClock()
    try:
        settings = load(config)
        log.setup("postmask-agent", settings.log.level)
        parse_url(settings.database.url)
        spool = Spool(settings.spool.path, clock)
    except (ConfigError, StoreError) as error:
        click.echo(f"postmask-agent: {error}", err=True)
        sys.exit(os.EX_CONFIG)
    except SpoolError as error:
        click.echo(f"postmask-agent: {error}", err=True)
        sys.exit(os.EX_IOERR)
    daemon.notify("READY=1")
    turn: Settings | None = settings
    while turn is not None:
        turn = serve(turn, spool, clock, stop)
    daemon.notify("STOPPING=1")
    spool.close()


if __name__ == "__main__":
    main()
