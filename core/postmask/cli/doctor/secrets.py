"""Whether the master secrets are those that made what is in the database, and the same on all nodes.

DIAGNOSTICS
    KeyFileError, StoreError: the file or the database can't be read.
"""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli.runtime import Runtime
from postmask.doctor.finding import Finding


def made(runtime: Runtime) -> Iterator[Finding]:
    """By what they made."""
    from postmask.doctor import secrets
    from postmask.store.admin import made

    with runtime.reading() as session:
        found = secrets.Made(made.newest_reverse(session), made.sealed_keys(session))
    yield from secrets.lint(runtime.keys, found)


def fingerprints(runtime: Runtime) -> Iterator[Finding]:
    """By what the programs here and on other nodes say of theirs."""
    from postmask.doctor import secrets
    from postmask.keys.fingerprint import published_fingerprint
    from postmask.store.admin import nodes

    with runtime.reading() as session:
        known = {one.name: one.keys for one in nodes.listing(session)}
    known.pop(runtime.settings.node.name, None)
    here = published_fingerprint(runtime.settings.spool.folder)
    yield from secrets.compare(secrets.Said(runtime.keys.fingerprint, here, known))
