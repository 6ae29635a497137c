"""Whether our programs answer: each is spoken to as Postfix begins to, in its own protocol.

That a socket takes a connection proves nothing: the kernel takes it for a program that is frozen. Nor does
an answer, where it is that the program has no room for another connection, or no thread.

DIAGNOSTICS
    silence() tells in a clause why a program is of no use now; "" if it answers.

STANDARDS
    Postfix SMTPD_POLICY_README; the milter protocol, version 6; RFC 2033 (LMTP).
"""

from __future__ import annotations

import contextlib
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from postmask.config.sections import Sockets

_SECONDS = 5.0
_SOME = 4096
_OFFER = struct.pack("!IcIII", 13, b"O", 6, 0x1FF, 0x1FFFFF)
"""An MTA's that can do all that version 6 has."""
_END = struct.pack("!Ic", 1, b"Q")
_TURNED_AWAY = (b"421 4.3.2 ", b"action=450 4.3.2 ")
"""What forwarder and gate say to whom they can't give a thread."""


@dataclass(frozen=True, slots=True)
class Program:
    """One that listens. begin, end: what the client says first and last."""

    name: str
    path: Path
    begin: bytes
    end: bytes


def listening(sockets: Sockets) -> tuple[Program, ...]:
    """All of this node's."""
    return (
        Program("postmask-milter alias, milter", sockets.alias, _OFFER, _END),
        Program("postmask-milter alias, gate", sockets.gate, b"request=smtpd_access_policy\n\n", b""),
        Program("postmask-milter scan", sockets.scan, _OFFER, _END),
        Program("postmask-forwarder", sockets.forwarder, b"", b"QUIT\r\n"),
    )


def silence(program: Program) -> str:
    """Why a program doesn't answer; "" if it does."""
    from postmask.daemon import connect_unix

    try:
        with connect_unix(program.path, _SECONDS) as connection:
            if program.begin:  # even an empty sendall() fails once the other side has hung up
                connection.sendall(program.begin)
            said = connection.recv(_SOME)
            if program.end:
                with contextlib.suppress(OSError):  # heard out, so that it has no broken pipe to log
                    connection.sendall(program.end)
                    connection.recv(_SOME)
    except FileNotFoundError:
        return "isn't there; is the program running?"
    except ConnectionRefusedError:
        return "nobody listens; is the program running?"
    except TimeoutError:
        return (
            f"no answer within {_SECONDS:.0f} s: it hangs, or can open no connection more "
            "(out of descriptors, say); see the program's log, and restart it"
        )
    except OSError as error:
        return error.strerror or str(error)
    if said.startswith(_TURNED_AWAY):
        return f"it turns mail away ({said.decode('ascii', 'replace').strip()}); see the program's log"
    return "" if said else "it hangs up without a word; see the program's log"
