"""The command line: nouns, then verbs.

A module a noun. Command modules import nothing heavy at their top (no SQLAlchemy, no cryptography):
what a command needs it imports when it runs, so that `--help` and completion answer at once. A test
looks after that.

DIAGNOSTICS
    Exit statuses are those of sysexits.h, see postmask.cli.failure. Errors go to standard error, one
    line and what to do next; never a traceback.
"""
