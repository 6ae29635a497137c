"""A throw-away Postfix with Postmask attached, in a folder, on loopback ports.

    up(LabOptions(directory, …)) -> the lab as one JSON-able dict, when everything answers
    down(directory)              stops all of it; the folder stays and can be brought up again
    status(directory)            the same dict, and what runs

Postfix needs root; the programs run as the caller, the pipe command as nobody. No user is made, the
system's own Postfix isn't touched. What the folder holds:

    lab.json        the options that the lab was made with, and its ports
    postmask.toml   the configuration, `keys` the master secrets, `postmask.db` the truth on SQLite
    etc data queue  Postfix's; our sockets lie in queue/postmask
    log run         logs (mail.log and one a program) and pid files
    pipe            a copy of the pipe client that nobody can read
    sink            what was delivered, when the lab has a sink of its own

DIAGNOSTICS
    LabError, with the sysexits(3) code that the command line should end with, and what to do.
"""

from postmask_postfix.lab.errors import LabError
from postmask_postfix.lab.options import LabOptions
from postmask_postfix.lab.run import down, status, up

__all__ = ["LabError", "LabOptions", "down", "status", "up"]
