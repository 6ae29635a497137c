"""What goes wrong in a lab."""

from __future__ import annotations


class LabError(Exception):
    """The lab can't do that. exit_code: a sysexits(3) code for the command line."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
