"""attach, detach or sync in a process of its own that dies by SIGKILL at its n-th step.

    python -P fatal_attach.py STEP attach|detach|sync CONFIG_DIR SOCKETS

A step is the moment before something that matters: what was written gets to the disk, or is renamed into its
place, Postfix is told, the listeners are talked to. It exits 0 where there are fewer steps than that.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from postmask_postfix import commands, generation, render, sync
from postmask_postfix.attachment import attach, detach, dialogue, journal
from postmask_postfix.settings import SettingsContext

STEPS = {"attach": 12, "sync": 4, "detach": 9}
"""How many there are on every host. (attach may ask its listeners more than twice.)"""

CONTEXT = SettingsContext(door="pipe", pipe_argv=render.pipe_argv("/usr/lib/postmask"), pipe_user="nobody")


def request(config_dir: Path, sockets: Path) -> attach.Request:
    """Without a domain of ours, for whose refusal a gate that isn't there would be waited."""
    return attach.Request(config_dir, CONTEXT, sockets, ())


def dies(step: int, verb: str, config_dir: Path, sockets: Path) -> bool:
    """Whether such a process came to that step, and died of it."""
    command = [sys.executable, "-P", __file__, str(step), verb, str(config_dir), str(sockets)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def main(step: int, verb: str, config_dir: Path, sockets: Path) -> None:
    """Do it, and die at the step."""
    left = step

    def come() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def before(owner: Any, name: str) -> None:
        real: Callable[..., Any] = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            come()
            return real(*arguments, **named)

        setattr(owner, name, wrapped)

    before(os, "fsync")
    before(journal, "remove")
    before(commands, "reload")
    before(generation, "await_force")
    before(dialogue, "ask_all")
    # Before that nothing is written; it takes its time.
    attach.trial.check = lambda *_: None
    if verb == "attach":
        attach.attach(request(config_dir, sockets))
    elif verb == "detach":
        detach.detach(config_dir)
    else:
        sync.sync_domains(config_dir, ["sync.test"])


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
