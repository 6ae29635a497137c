"""The pipe client, put where pipe(8)'s user can read it: a virtual environment often lies under a closed
home. The bytecode lies beside it, which that user could not write.

DIAGNOSTICS
    ClientError: Postmask's installation lacks it, or it can't be written there.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from pathlib import Path

PYTHON = "/usr/bin/python3"
"""The system's own, which every user can run."""

_NAME = "postmask_pipe.py"


class ClientError(Exception):
    """The client can't be put in its place; the message says why."""


def install(folder: Path) -> None:
    """Make sure that the client of this version lies in the folder."""
    package = importlib.util.find_spec("postmask_transport")
    folders = list(package.submodule_search_locations or ()) if package else []
    source = Path(folders[0], "pipe.py") if folders else Path("pipe.py")
    if not source.is_file():
        raise ClientError("postmask_transport/pipe.py is missing: install Postmask again")
    target = folder / _NAME
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        if not target.exists() or target.read_bytes() != source.read_bytes():
            shutil.copyfile(source, target)
        target.chmod(0o644)
        subprocess.run([PYTHON, "-I", "-m", "py_compile", str(target)], check=False)
    except OSError as error:
        raise ClientError(f"{error.filename or target}: {error.strerror}") from error
