"""`postmask`, killed by SIGKILL at a step of a release: the real command, with steps put around its parts.

    python held_steps.py held release QUEUE-ID

POSTMASK_CONFIG names the configuration; fatal_steps.arm() the step.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from fatal_steps import arm, armed, around

STEPS = ("before-sending", "after-the-250", "before-the-deletion", "after-the-deletion")


def killed_at(step: str, config: Path, *words: str) -> None:
    """Run it until it dies there."""
    arm(config, step)
    environ = {**os.environ, "POSTMASK_CONFIG": str(config)}
    command = [sys.executable, __file__, *words]
    done = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done
    assert not armed(config)


if __name__ == "__main__":
    from postmask.cli.program import program
    from postmask.reinjection.submit import Reinjector
    from postmask_postfix.hold import HoldQueue

    around(Reinjector, "submit", before="before-sending", after="after-the-250")
    around(HoldQueue, "delete", before="before-the-deletion", after="after-the-deletion")
    program.main(sys.argv[1:])
