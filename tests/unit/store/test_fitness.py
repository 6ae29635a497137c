"""Whether a Postgres may be believed."""

from __future__ import annotations

import pytest

from postmask.store import fitness, schema


def test_our_revision_is_alembic_s() -> None:
    assert fitness.ours() == schema.wanted_revision()


@pytest.mark.parametrize(
    ("revision", "reader", "numbered", "says"),
    [
        (fitness.ours(), fitness.OLDEST, True, ""),
        ("9999", fitness.ours(), True, ""),
        ("9999", "9999", True, "too new for this program"),
        ("0001", None, False, "postmask db upgrade"),
        (None, None, False, "has no schema, or is being restored"),
        (fitness.ours(), None, False, "has no schema, or is being restored"),
        (fitness.ours(), fitness.OLDEST, False, "is being restored, or its triggers are gone"),
    ],
)
def test_objections(revision: str | None, reader: str | None, numbered: bool, says: str) -> None:
    said = fitness.objection([(revision, reader, numbered)])
    assert (says in said) if says else not said
