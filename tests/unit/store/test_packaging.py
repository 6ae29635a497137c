"""The migrations lie inside the import package, one line of descent from nothing to the models."""

from __future__ import annotations

from pathlib import Path

from alembic.script import ScriptDirectory

import postmask.store
from postmask.store.fitness import OURS


def test_the_migrations_are_one_line() -> None:
    folder = Path(postmask.store.__file__).parent / "migrations"
    scripts = ScriptDirectory(str(folder))
    assert scripts.get_heads() == [OURS]
    assert len(scripts.get_bases()) == 1
