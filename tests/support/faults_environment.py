"""A virtual environment of its own with Postmask in it, that may be taken away."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

PACKAGES = ("postmask", "postmask_milter", "postmask_transport", "postmask_postfix")
_DEVELOPERS = shutil.ignore_patterns(
    "_editable*", "mypy*", "hypothesis*", "pip", "ruff*", "*pytest*", "grimp*", "setuptools*"
)


def copied_environment(folder: Path) -> Path:
    """Make one in the folder, of what this one has; returns its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    asked = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    target = Path(subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip())
    source = Path(sysconfig.get_path("purelib"))
    shutil.copytree(source, target, ignore=_DEVELOPERS, dirs_exist_ok=True)
    for name in PACKAGES:
        found = importlib.util.find_spec(name)
        assert found is not None
        (location,) = found.submodule_search_locations or ()
        shutil.copytree(location, target / name, dirs_exist_ok=True)
    return python


def programs(python: Path) -> dict[str, str]:
    """The lab's programs as commands of that Python. Their configuration is in POSTMASK_CONFIG."""
    modules = {
        "milter-alias": "postmask_milter alias",
        "milter-scan": "postmask_milter scan",
        "forwarder": "postmask_transport",
        "agent": "postmask.agent",
    }
    return {program: f"{python} -P -m {module}" for program, module in modules.items()}


@contextlib.contextmanager
def deleted(folder: Path) -> Iterator[None]:
    """The environment isn't where it was; it is again at the end."""
    away = folder.with_name(f"{folder.name}.deleted")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)
