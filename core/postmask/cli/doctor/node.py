"""The doctor's group `node`: Postmask itself on this node. Most of it is what `postmask status` looks at."""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli import checks
from postmask.cli.doctor import access
from postmask.cli.doctor.surroundings import Surroundings
from postmask.doctor import node as codes
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Finding


def _of(part: checks.Part) -> Check[Surroundings]:
    def look(around: Surroundings) -> Iterator[Finding]:
        for check in part.checks(around.runtime):
            if not check.ok and check.code:
                yield check.code.at(check.where or check.part, check.what)

    return Check(part.name, look)


def _secrets(around: Surroundings) -> Iterator[Finding]:
    from postmask.doctor import secrets
    from postmask.store.admin import made

    runtime = around.runtime
    with runtime.reading() as session:
        found = secrets.Made(made.newest_reverse(session), made.sealed_keys(session))
    yield from secrets.lint(runtime.keys, found)


def _fingerprints(around: Surroundings) -> Iterator[Finding]:
    from postmask.doctor import secrets
    from postmask.keys.fingerprint import published_fingerprint
    from postmask.store.admin import nodes

    runtime = around.runtime
    with runtime.reading() as session:
        known = {one.name: one.keys for one in nodes.listing(session)}
    known.pop(runtime.settings.node.name, None)
    here = published_fingerprint(runtime.settings.spool.folder)
    yield from secrets.compare(secrets.Said(runtime.keys.fingerprint, here, known))


GROUP = Group(
    "node",
    "Postmask itself on this node: keys, database, replica, spool, disks, programs and spam engines.",
    60.0,
    codes.CODES,
    (
        *map(_of, checks.PARTS),
        Check("secrets", _secrets),
        Check("fingerprints", _fingerprints),
        Check("sockets", lambda around: access.sockets(around.runtime)),
        Check("pipe client", lambda around: access.client(around.runtime)),
    ),
)
