"""The program `postmask`."""

from __future__ import annotations

import signal

from postmask.cli.program import program


def main() -> None:
    """Run the command line and exit with its status.

    SIGTERM interrupts it as Ctrl-C does, and SIGHUP (a terminal that is gone), unless nohup has it ignored.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.default_int_handler)
    program.main(prog_name="postmask")


if __name__ == "__main__":
    main()
