"""The pipe client, put where pipe(8)'s user can read it: a virtual environment often lies under a closed
home. The bytecode lies beside it, which that user could not write.

DIAGNOSTICS
    ClientError: Postmask's installation lacks it, or it can't be written there.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
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
    target = folder / _NAME
    try:
        if not folder.is_dir():
            folder.mkdir(parents=True)
            folder.chmod(0o755)
        if not is_current(folder):
            _put(target)
        target.chmod(0o644)
        subprocess.run([PYTHON, "-I", "-m", "py_compile", str(target)], check=False)
    except OSError as error:
        raise ClientError(f"{error.filename or target}: {error.strerror}") from error


def processes() -> int:
    """How many of them this machine runs at once."""
    return max(4, 2 * (os.cpu_count() or 2))


def _put(target: Path) -> None:
    """In one rename: clients are started meanwhile, and a full disk must leave the old one whole."""
    aside = target.with_name(f".{target.name}.new")
    try:
        shutil.copyfile(_source(), aside)
        aside.chmod(0o644)
        aside.replace(target)
    finally:
        aside.unlink(missing_ok=True)


def is_current(folder: Path) -> bool:
    """Whether the client of this version lies there."""
    target = folder / _NAME
    return target.exists() and target.read_bytes() == _source().read_bytes()


def lies_in(folder: Path) -> bool:
    """Whether a client lies there, of any version."""
    return (folder / _NAME).exists()


def remove(folder: Path) -> None:
    """Take the client out of the folder, and the folder away if nothing else is in it."""
    for file in (folder / _NAME, *folder.glob(f"__pycache__/{Path(_NAME).stem}.*.pyc")):
        file.unlink(missing_ok=True)
    for emptied in (folder / "__pycache__", folder):
        with contextlib.suppress(OSError):
            emptied.rmdir()


def _source() -> Path:
    package = importlib.util.find_spec("postmask_transport")
    folders = list(package.submodule_search_locations or ()) if package else []
    source = Path(folders[0], "pipe.py") if folders else Path("pipe.py")
    if not source.is_file():
        raise ClientError("postmask_transport/pipe.py is missing: install Postmask again")
    return source
