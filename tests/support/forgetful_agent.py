"""postmask-agent, which forgets what is past its time every second, and not once an hour.

    python -P forgetful_agent.py

It is the real program with its real parts. For `lab up --exec`; see COMMANDS.
"""

from __future__ import annotations

import sys

COMMANDS = {"agent": f"{sys.executable} -P {__file__}"}
"""What --exec is given for it."""

if __name__ == "__main__":
    from postmask.agent import housekeeping
    from postmask.agent.__main__ import main

    housekeeping.FORGET_EVERY = 1.0
    main()
