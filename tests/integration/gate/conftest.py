"""One Postfix for all tests of this folder, a program of its own for each."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from milter_lab import MilterLab


@pytest.fixture(scope="session")
def postfix() -> Iterator[MilterLab]:
    # Not in pytest's own folder: Postfix's user must come through.
    with tempfile.TemporaryDirectory(prefix="postmask-gate-") as folder:
        Path(folder).chmod(0o755)
        lab = MilterLab(Path(folder))
        try:
            lab.up()
            yield lab
        finally:
            lab.down()


@pytest.fixture
def lab(postfix: MilterLab) -> Iterator[MilterLab]:
    postfix.start()
    yield postfix
    postfix.kill()
