"""A bare Debian becomes an alias service by one command. `make test-ansible` has the rest of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioned import MX, single

pytestmark = pytest.mark.apart


@pytest.mark.timeout(2400)
def test_one_command(tmp_path: Path) -> None:
    """The first time a Debian's packages and our wheels are fetched, which takes minutes."""
    with single("bookworm", tmp_path) as there:
        there.control.play("site.yml")
        there.exchange(MX, there.publish())
        assert there.control.play("site.yml").changed == {MX: 0}
