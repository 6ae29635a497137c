"""Files that the programs write, when root makes them: they belong to whoever the folder belongs to.

Otherwise the first `postmask` call as root would leave a file that the programs can't write. (SQLite
looks after its own -wal and -shm files in the same way.)
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def make_like_folder(path: Path) -> None:
    """Make an empty file (mode 0660) for the folder's owner; nothing happens unless root, or if it is there.

    A folder that isn't there is left to whoever opens the file: the message is better there.
    """
    if os.geteuid() != 0:
        return
    with contextlib.suppress(FileExistsError, FileNotFoundError):
        file = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o660)
        try:
            folder = path.parent.stat()
            os.fchown(file, folder.st_uid, folder.st_gid)
            os.fchmod(file, 0o660)
        finally:
            os.close(file)
