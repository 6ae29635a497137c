"""Whether a Postgres may be believed when it says that something isn't there.

Its schema may be outside the range that this program knows; and while a dump is put back, tables are
there before their rows. So what is asked of it stands and falls with this: the schema's revision, the
oldest program that may read it, and a trigger, since a restore makes those when all rows are there. A standby
may be copied, but what it lacks may be there already.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

OLDEST = "0002"
"""The first schema with change numbers."""

_VERSIONS = Path(__file__).parent / "migrations" / "versions"
OURS = max(path.name.partition("_")[0] for path in _VERSIONS.glob("[0-9]*_*.py"))
"""The revision this program was written for, looked for once, as it starts: what lies there later may be a
newer version's. (Alembic knows as well, but not every program loads it.)"""

QUESTION = """
SELECT (SELECT max(version_num) FROM alembic_version),
       (SELECT max(to_jsonb(generation) ->> 'reader') FROM generation),
       EXISTS (SELECT FROM pg_catalog.pg_trigger
               WHERE tgrelid = 'alias'::regclass AND tgname = 'change_20_stamp' AND tgenabled = 'A'),
       pg_is_in_recovery()
"""
"""By way of JSON, since the oldest schema has no such column."""


def objection(rows: Sequence[Any]) -> str:
    """What is wrong, by the answer to QUESTION, and what to do about it; "": nothing is."""
    revision, reader, numbered, _ = rows[0]
    if revision is not None and revision < OLDEST:
        return f"the database's schema {revision} has no change numbers yet; see: postmask db upgrade"
    if revision is None or reader is None:
        return "the database has no schema, or is being restored; see: postmask db status"
    if reader > OURS:
        return f"the database's schema {revision} is too new for this program; upgrade Postmask here"
    if not numbered:
        return (
            "the database is being restored, or was, and its triggers are not on as they were: "
            "see, once that is done, postmask db upgrade"
        )
    return ""


def doubt(rows: Sequence[Any]) -> str:
    """Likewise, why it isn't believed that something isn't there."""
    behind = "the database is a standby, and may lag behind; its URL is to name the server that takes writes"
    return objection(rows) or (behind if rows[0][3] else "")
