"""What the host's own Postfix says of itself, asked through postconf and postmap.

DIAGNOSTICS
    CommandError (69) when Postfix's commands fail; a host without Postfix has no mailboxes of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from postmask.cli.failure import CommandError

OWN_DOMAINS = ("mydestination", "virtual_mailbox_domains", "virtual_alias_domains")
"""The parameters that list domains in which the host has mailboxes or aliases of its own."""

_SECONDS = 20
_TABLE = re.compile(r"[a-z]+:.")


def installed(config_dir: Path) -> bool:
    """Whether there is a Postfix with this configuration directory."""
    return shutil.which("postconf", path=_path()) is not None and (config_dir / "main.cf").is_file()


def parameters(config_dir: Path, *names: str) -> dict[str, str]:
    """Parameters by name, with what their values refer to filled in."""
    lines = run("postconf", "-c", str(config_dir), "-x", *names).splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}


def own_domain(config_dir: Path, domain: str) -> str | None:
    """The parameter by which this domain is the host's own; None if it isn't."""
    if not installed(config_dir):
        return None
    for name, value in parameters(config_dir, *OWN_DOMAINS).items():
        if any(_lists(config_dir, entry, domain) for entry in _entries(value)):
            return name
    return None


def _entries(value: str) -> list[str]:
    """The elements of a list: by commas and white space, those in braces whole."""
    return re.findall(r"[^\s,{]*\{[^}]*\}|[^\s,]+", value)


def _lists(config_dir: Path, entry: str, domain: str) -> bool:
    if _TABLE.match(entry):
        return _asked(config_dir, entry, domain)
    if entry.startswith("/"):
        lines = Path(entry).read_text(encoding="utf-8", errors="replace").split()
        return domain in (line.lower() for line in lines)
    return entry.lower() == domain


def _asked(config_dir: Path, table: str, domain: str) -> bool:
    """Whether a table knows the domain: postmap -q, status 1 and no output is "no"."""
    told = subprocess.run(
        ["postmap", "-c", str(config_dir), "-q", domain, table],
        capture_output=True,
        text=True,
        timeout=_SECONDS,
        env={**os.environ, "PATH": _path()},
    )
    if told.returncode == 0:
        return True
    if told.stderr.strip():
        raise CommandError(
            f"Postfix can't look {domain} up in {table}: {told.stderr.strip()}", os.EX_UNAVAILABLE
        )
    return False


def run(*command: str) -> str:
    """What a Postfix command says. Raises CommandError when it fails."""
    try:
        told = subprocess.run(
            command, capture_output=True, text=True, timeout=_SECONDS, env={**os.environ, "PATH": _path()}
        )
    except OSError as error:
        raise CommandError(f"{command[0]} can't be run: {error.strerror}", os.EX_UNAVAILABLE) from error
    if told.returncode:
        raise CommandError(f"{command[0]} failed: {told.stderr.strip()}", os.EX_UNAVAILABLE)
    return told.stdout


def _path() -> str:
    """PATH with the folders in which Postfix's commands lie, which users' shells often leave out."""
    return os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
