"""How every benchmark begins: as root, and so that its end is a clean one.

DIAGNOSTICS
    Exit status 77 (EX_NOPERM): not root.
"""

from __future__ import annotations

import os
import signal
import sys


def begin() -> None:
    """Leave unless we are root, as Postfix must be; let signals end us by way of the cleaning-up."""
    if os.geteuid() != 0:
        print("bench: Postfix needs root: run this with sudo", file=sys.stderr, flush=True)
        sys.exit(os.EX_NOPERM)
    # What is running is stopped on the way out; a signal that ended us at once would leave it behind.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
