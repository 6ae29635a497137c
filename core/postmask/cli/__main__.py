"""The program `postmask`."""

from __future__ import annotations

from postmask.cli.program import program


def main() -> None:
    """Run the command line and exit with its status."""
    program.main(prog_name="postmask")


if __name__ == "__main__":
    main()
