"""Whether a Postgres may be believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.script import ScriptDirectory

import postmask.store
from postmask.store import fitness


def test_our_revision_is_alembic_s() -> None:
    migrations = Path(postmask.store.__file__).parent / "migrations"
    assert ScriptDirectory(str(migrations)).get_current_head() == fitness.OURS


@pytest.mark.parametrize(
    ("revision", "reader", "numbered", "says"),
    [
        (fitness.OURS, fitness.OLDEST, True, ""),
        ("9999", fitness.OURS, True, ""),
        ("9999", "9999", True, "too new for this program"),
        ("0001", None, False, "postmask db upgrade"),
        (None, None, False, "has no schema, or is being restored"),
        (fitness.OURS, None, False, "has no schema, or is being restored"),
        (fitness.OURS, fitness.OLDEST, False, "is being restored, or was, and its triggers"),
    ],
)
def test_objections(revision: str | None, reader: str | None, numbered: bool, says: str) -> None:
    said = fitness.objection([(revision, reader, numbered, False)])
    assert (says in said) if says else not said
    assert fitness.doubt([(revision, reader, numbered, False)]) == said


def test_a_standby_is_read_and_not_believed_what_it_lacks() -> None:
    answer = [(fitness.OURS, fitness.OLDEST, True, True)]
    assert fitness.objection(answer) == ""
    assert "standby" in fitness.doubt(answer)
