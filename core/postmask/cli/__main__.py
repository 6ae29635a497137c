"""The program `postmask`."""

from __future__ import annotations

import signal

from postmask.cli.program import program


def main() -> None:
    """Run the command line and exit with its status. SIGTERM interrupts it as Ctrl-C does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    program.main(prog_name="postmask")


if __name__ == "__main__":
    main()
