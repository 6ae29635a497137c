"""Root trees of bare Debian hosts, and what can be installed on them without a network.

    tree("bookworm")          the folder of a Debian 12: systemd, sshd, Python, and nothing of mail
    wheelhouse("bookworm")    the folder of wheels of all that Postmask needs, for that Debian's Python

Both are made on first use, in minutes, from the network, and kept in a cache: POSTMASK_TREES, else
~/.cache/postmask/trees. Whoever uses a tree doesn't change it (see booted.py). The packages that the plays
install lie in its apt cache, so that `apt-get install` works where there is no network. Needs root,
debootstrap and systemd-nspawn.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUITES = ("bookworm", "trixie")

_MIRROR = "http://deb.debian.org/debian"
_BARE = (
    "systemd,systemd-sysv,dbus,openssh-server,python3,python3-apt"
    ",iproute2,iputils-ping,procps,sudo,ca-certificates"
)
_INSTALLABLE = (
    "postfix postfix-sqlite postfix-pcre python3-venv libmilter1.0.1 openssl ssl-cert"
    " unbound dns-root-data postgresql python3-psycopg2 spamassassin spamd rspamd gnupg rsync"
    " age postgresql-client"
)
_COMPILER = "gcc libc6-dev libmilter-dev python3-dev python3-venv"
_PIP_HERE = {"PIP_CERT": "/etc/ssl/certs/ca-certificates.crt", "PIP_CONFIG_FILE": "/etc/pip.conf"}


def tree(suite: str) -> Path:
    """The folder of a bare host; not to be changed."""
    return _kept(f"tree-{suite}", f"{_MIRROR} {_BARE} {_INSTALLABLE}", lambda folder: _build(suite, folder))


def wheelhouse(suite: str) -> Path:
    """The wheels of what requirements.lock has for Postmask itself, which isn't among them."""
    lock = _constraints()
    return _kept(f"wheels-{suite}", f"{lock} {_COMPILER}", lambda folder: _collect(suite, lock, folder))


def wheel(folder: Path) -> Path:
    """Postmask's own wheel, of this checkout."""
    _run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(ROOT))
    return next(folder.glob("postmask-*.whl"))


def wheel_of_version(version: str, folder: Path) -> Path:
    """The same, as if this checkout were of that version."""
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "tests", "dist"))
    told = source / "core/postmask/__init__.py"
    told.write_text(re.sub(r"(?m)^__version__ = .*$", f'__version__ = "{version}"', told.read_text()))
    _run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(source))
    return next(folder.glob(f"postmask-{version}-*.whl"))


def _kept(name: str, recipe: str, build: Callable[[Path], None]) -> Path:
    """The folder that was built by this recipe, now or earlier."""
    cache = Path(os.environ.get("POSTMASK_TREES") or Path.home() / ".cache/postmask/trees")
    cache.mkdir(parents=True, exist_ok=True)
    folder = cache / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with (cache / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = cache / f"{name}.new"
            shutil.rmtree(draft, ignore_errors=True)
            build(draft)
            draft.rename(folder)
    return folder


def _build(suite: str, folder: Path) -> None:
    _run("debootstrap", "--variant=minbase", f"--include={_BARE}", suite, str(folder), _MIRROR)
    sources = [f"deb {_MIRROR} {suite} main", f"deb {_MIRROR} {suite}-updates main"]
    sources.append(f"deb {_MIRROR}-security {suite}-security main")
    (folder / "etc/apt/sources.list").write_text("\n".join(sources) + "\n")
    _inside(folder, "apt-get update -q")
    _inside(folder, f"apt-get install -qy --download-only --no-install-recommends {_INSTALLABLE}")
    for name in ("etc/resolv.conf", "etc/hostname"):
        (folder / name).unlink(missing_ok=True)


def _collect(suite: str, lock: str, folder: Path) -> None:
    folder.mkdir()
    with _draft(tree(suite)) as root:
        (root / "wheels").mkdir()
        (root / "wheels/lock.txt").write_text(lock)
        (root / "wheels/wanted.txt").write_text("\n".join(_dependencies()) + "\n")
        _inside(root, f"apt-get install -qy --no-install-recommends {_COMPILER}")
        _inside(root, "python3 -m venv /venv")
        pip = "/venv/bin/pip --disable-pip-version-check --no-input -q"
        _inside(root, f"{pip} wheel --use-pep517 -w /wheels -c /wheels/lock.txt -r /wheels/wanted.txt")
        for made in (root / "wheels").glob("*.whl"):
            shutil.copy(made, folder)


def _dependencies() -> list[str]:
    told = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return list(told["project"]["dependencies"])


def _constraints() -> str:
    """requirements.lock without its hashes: pip wants those of everything or of nothing."""
    return re.sub(r" \\\n(    --hash=\S+( \\\n)?)+", "", (ROOT / "requirements.lock").read_text())


@contextlib.contextmanager
def _draft(lower: Path) -> Iterator[Path]:
    """A copy that may be changed, gone at the end."""
    copy = lower.with_name(f"{lower.name}.draft")
    shutil.rmtree(copy, ignore_errors=True)
    _run("cp", "-a", str(lower), str(copy))
    try:
        yield copy
    finally:
        shutil.rmtree(copy)


def _inside(root: Path, command: str) -> None:
    """A shell command in the tree, on this machine's network, with its pip settings and authorities."""
    there = {name: path for name, path in _PIP_HERE.items() if Path(path).exists()}
    bound = [f"--bind-ro={path}:/mnt/{name}" for name, path in there.items()]
    bound += [f"--setenv={name}=/mnt/{name}" for name in there]
    _run(
        *("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--pipe", "--as-pid2"),
        *("--resolv-conf=copy-host", "--setenv=DEBIAN_FRONTEND=noninteractive", *bound),
        *("-D", str(root), "/bin/sh", "-c", command),
    )


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
