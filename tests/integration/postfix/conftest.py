"""A lab whose programs do nothing: Postfix alone, with everything attached."""

import pytest

from lab import IDLE, lab
from postmask_postfix.sync import sync_domains


@pytest.fixture(scope="module")
def bare():
    """Attached, alias.test is ours, nobody answers on any of our sockets; the pipe command fails."""
    with lab(programs={**IDLE, "pipe": "/bin/false"}) as running:
        sync_domains(running.postfix, ["alias.test"])
        yield running
