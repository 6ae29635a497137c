"""The doctor's group `node`: Postmask itself on this node. Most of it is what `postmask status` looks at."""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli.checks.check import Part
from postmask.cli.checks.parts import PARTS
from postmask.cli.doctor import access, secrets
from postmask.cli.doctor.surroundings import Surroundings
from postmask.doctor import node as codes
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding


def _of(part: Part) -> Check[Surroundings]:
    def look(around: Surroundings) -> Iterator[Finding]:
        for check in part.checks(around.runtime):
            if not check.ok and check.code:
                yield check.code.at(check.where or check.part, check.what)

    return Check(part.name, look)


GROUP = Group(
    "node",
    "Postmask itself on this node: keys, database, replica, spool, disks, programs and spam engines.",
    60.0,
    codes.CODES,
    (
        *map(_of, PARTS),
        Check("secrets", lambda around: secrets.made(around.runtime)),
        Check("fingerprints", lambda around: secrets.fingerprints(around.runtime)),
        Check("sockets", lambda around: access.sockets(around.runtime)),
        Check("pipe client", lambda around: access.client(around.runtime)),
    ),
)
