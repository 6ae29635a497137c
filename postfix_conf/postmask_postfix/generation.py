"""Which of our settings a running Postfix works by.

The re-injection listener, which only root and our programs reach, greets with the generation, a short name
for the settings that it was started with.

DIAGNOSTICS
    PostfixError when Postfix doesn't take up the settings in time.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from pathlib import Path

from postmask.daemon import connect_unix
from postmask_postfix import commands
from postmask_postfix.commands import PostfixError


def name(settings: Mapping[str, str]) -> str:
    """The generation of these settings."""
    text = "\n".join(f"{name}={value}" for name, value in sorted(settings.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def in_force(config_dir: Path, generation: str) -> bool:
    """Whether smtpd processes that start now work by it."""
    return generation in greeting(commands.queue_directory(config_dir))


def await_force(config_dir: Path, generation: str, patience: float) -> None:
    """Return when it is in force; PostfixError if that isn't so within `patience` seconds."""
    give_up = time.monotonic() + patience
    while not in_force(config_dir, generation):
        if time.monotonic() > give_up:
            raise PostfixError(f"Postfix did not take up the new settings within {patience:.0f} seconds")
        time.sleep(0.02)


def greeting(queue: Path) -> list[str]:
    """The words of the re-injection listener's greeting; none when it doesn't answer."""
    try:
        with connect_unix(queue / "public" / "postmask-reinject", 5.0) as connection:
            line = connection.makefile("rb").readline(1024)
            connection.sendall(b"QUIT\r\n")
            return line.decode("ascii", errors="replace").split()
    except OSError:
        return []
