"""One of our programs, one of whose threads runs out of memory when it is told to.

    python -P failing_threads.py PROGRAM        as `lab up` names it

It is the real program with its real parts. When a thread's name is written to the file `failing-thread`
beside the configuration, that thread gets a MemoryError at its next step in Python. For `lab up --exec`;
see COMMANDS.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import sys
import threading
import time
from pathlib import Path

_FILE = "failing-thread"
MODULES = {
    "milter-alias": ("postmask_milter", "alias"),
    "milter-scan": ("postmask_milter", "scan"),
    "forwarder": ("postmask_transport",),
    "agent": ("postmask.agent",),
}
COMMANDS = {program: f"{sys.executable} -P {__file__} {program}" for program in MODULES}
"""What --exec is given for each."""


def order(config: Path, program: str, thread: str) -> None:
    """Let that thread of the program fail."""
    new = config.with_name(f"{_FILE}.new")
    new.write_text(f"{program} {thread}")
    new.replace(config.with_name(_FILE))


def obeyed(config: Path) -> bool:
    """Whether the program has heard of it."""
    return not config.with_name(_FILE).exists()


def _obey(program: str) -> None:
    """To the end of the program."""
    file = Path(os.environ["POSTMASK_CONFIG"]).with_name(_FILE)
    while True:
        time.sleep(0.01)
        try:
            named, thread = file.read_text().split(" ", 1)
        except FileNotFoundError:
            continue
        if named != program:
            continue
        for one in threading.enumerate():
            if one.name == thread and one.ident:
                raised = ctypes.c_ulong(one.ident), ctypes.py_object(MemoryError)
                ctypes.pythonapi.PyThreadState_SetAsyncExc(*raised)
                file.unlink()


if __name__ == "__main__":
    name = sys.argv.pop()
    module, *words = MODULES[name]
    sys.argv[1:] = words
    threading.Thread(target=_obey, args=(name,), name="failing-threads", daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
