"""What the host's own Postfix says of itself, for commands that work without one as well.

DIAGNOSTICS
    PostfixError (69) when Postfix's commands fail; a host without Postfix has no mailboxes of its own.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from postmask.cli.failure import CommandError
from postmask_postfix import commands, host_domains, sync


def installed(config_dir: Path) -> bool:
    """Whether there is a Postfix with this configuration directory."""
    return shutil.which("postconf", path=commands.path()) is not None and (config_dir / "main.cf").is_file()


def attached(config_dir: Path) -> bool:
    """Whether Postmask is attached to it. Raises PostfixError."""
    return installed(config_dir) and sync.attached(config_dir)


def demand(config_dir: Path) -> None:
    """Raises CommandError (69) where there is none."""
    if not installed(config_dir):
        raise CommandError(f"there is no Postfix in {config_dir}; see postfix.config_dir", os.EX_UNAVAILABLE)


def own_domain(config_dir: Path, domain: str) -> str | None:
    """The parameter by which this domain is the host's own; None if it isn't."""
    return host_domains.own(config_dir, [domain]).get(domain) if installed(config_dir) else None
