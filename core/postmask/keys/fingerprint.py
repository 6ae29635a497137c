"""The fingerprint of the master secrets that a node's programs work with, in a file of the node.

The agent, which isn't given the secrets, tells it to the truth, so that it can be seen whether all nodes
have the same.

DIAGNOSTICS
    A file that can't be written is said in the log: it stops nothing. One that can't be read is None.
"""

from __future__ import annotations

import logging
from pathlib import Path

from postmask.keys.keyring import Keyring
from postmask.log import line
from postmask.nodefile import NodeFile

_log = logging.getLogger(__name__)

_NAME = "fingerprint.json"


def publish_fingerprint(folder: Path, keys: Keyring) -> None:
    """Say with which secrets this program has started."""
    if published_fingerprint(folder) == keys.fingerprint:
        return
    try:
        NodeFile(folder, _NAME).write({"fingerprint": keys.fingerprint})
    except OSError as error:
        line(_log, logging.WARNING, "keys.fingerprint", reason=str(error))


def published_fingerprint(folder: Path) -> str | None:
    """What was said last."""
    match NodeFile(folder, _NAME).content():
        case {"fingerprint": str() as fingerprint}:
            return fingerprint
        case _:
            return None
