"""One Postfix for all tests of this folder, a program of its own for each."""

import os
import shutil
from collections.abc import Iterator

import pytest

from milter_lab import MilterLab


@pytest.fixture(scope="session")
def postfix(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MilterLab]:
    if os.geteuid() != 0 or shutil.which("postfix") is None:
        pytest.skip("needs root and an installed Postfix")
    folder = tmp_path_factory.mktemp("gate")
    for parent in (folder, *folder.parents[:2]):
        parent.chmod(0o755)  # Postfix's own user must come through
    lab = MilterLab(folder)
    lab.up()
    yield lab
    lab.down()


@pytest.fixture
def lab(postfix: MilterLab) -> Iterator[MilterLab]:
    postfix.start()
    yield postfix
    postfix.kill()
