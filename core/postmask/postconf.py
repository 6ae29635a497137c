"""What a Postfix is set to, as postconf(1) tells it.

DIAGNOSTICS
    ask() raises OSError and subprocess.SubprocessError.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

_TIMEOUT = 10.0


def ask(config_dir: Path, *names: str) -> list[str]:
    """The values of these parameters, with what they refer to filled in."""
    asked = subprocess.run(
        ["postconf", "-c", str(config_dir), "-xh", *names],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=True,
    )
    return asked.stdout.splitlines()
