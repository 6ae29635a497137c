"""An engine for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import engine_rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[engine_rig.Rig]:
    with engine_rig.rig(tmp_path) as made:
        yield made
