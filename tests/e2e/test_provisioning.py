"""A bare Debian becomes an alias service by one command. `make test-ansible` has the rest of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provisioned import MX, Lab, single, wait_until

pytestmark = pytest.mark.apart


@pytest.mark.timeout(2400)
def test_one_command(tmp_path: Path) -> None:
    """The first time a Debian's packages and our wheels are fetched, which takes minutes."""
    with single("bookworm", tmp_path) as there:
        there.control.play("site.yml")
        there.exchange(MX, there.publish())
        drained(there)
        assert there.control.play("site.yml").changed == {MX: 0}


def drained(there: Lab) -> None:
    """Within the bounds of its unit the agent sees what is in the queue."""

    def waiting() -> object:
        (node,) = json.loads(there.postmask(MX, "node", "list", "--json"))
        return node["waiting"]

    there.postmask(MX, "node", "drain")
    wait_until(lambda: waiting() == 0, "what is in the queue of a drained node")
    there.postmask(MX, "node", "resume")
