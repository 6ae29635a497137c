"""What makes a change on the disk last.

DIAGNOSTICS
    OSError: the folder can't be opened, or the disk has failed.

STANDARDS
    fsync(2): a file that is written, renamed or removed for good is so only with its folder.
"""

from __future__ import annotations

import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """On return the names in the folder are on the disk as they are now."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
