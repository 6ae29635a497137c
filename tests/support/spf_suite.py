"""The test suite of RFC 7208, as it comes with pyspf's source distribution, and its zones as a Dns.

The distribution is fetched from the package index once, by the hash in requirements.lock, and kept in
the user's cache folder: it isn't part of this repository. Without it the test fails.
"""

from __future__ import annotations

import importlib.metadata
import ipaddress
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from postmask.clock import Deadline
from postmask.directory.lookup import ABSENT, Found, Lookup, Unavailable

_LOCK = Path(__file__).parents[2] / "requirements.lock"
_MEMBER = "test/rfc7208-tests.yml"
_MOST_ALIASES = 8


@dataclass
class Case:
    """One question of the suite. results: those that the RFC allows, the preferred one first."""

    name: str
    address: str
    helo: str
    sender: str
    results: list[str]
    zone: SuiteZone


@dataclass
class SuiteZone:
    """postmask.auth.dns.Dns over a scenario's records. "TIMEOUT" stands for no answer."""

    records: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        return self._found(name, "TXT", lambda value: "".join(value).encode())

    def addresses(self, name: str, deadline: Deadline, *, ipv6: bool = False) -> Lookup[tuple[str, ...]]:
        return self._found(name, "AAAA" if ipv6 else "A", str)

    def exchanges(self, name: str, deadline: Deadline) -> Lookup[tuple[tuple[int, str], ...]]:
        return self._found(name, "MX", lambda value: (int(value[0]), value[1].removesuffix(".")))

    def names(self, address: str, deadline: Deadline) -> Lookup[tuple[str, ...]]:
        return self._found(_backwards(address), "PTR", lambda value: value.removesuffix("."))

    def exists(self, name: str, deadline: Deadline) -> Lookup[None]:
        raise AssertionError("SPF doesn't ask that")

    def _found(self, name: str, kind: str, read: Any, aliases: int = 0) -> Lookup[Any]:
        key = name.lower().removesuffix(".")
        if any(not 0 < len(label) < 64 for label in key.split(".")) or aliases > _MOST_ALIASES:
            return ABSENT
        if key not in self.records:
            return Unavailable("DNS did not answer") if key.startswith("error.") else ABSENT
        values = []
        for found, value in self.records[key]:
            if found == "CNAME":
                return self._found(value, kind, read, aliases + 1)
            if (found == "TIMEOUT" and not values) or (found == kind and value == "TIMEOUT"):
                return Unavailable("DNS did not answer")
            if found == kind:
                values.append(read(value))
        return Found(tuple(values)) if values else ABSENT


def cases() -> Iterator[Case]:
    """All questions of the suite."""
    for scenario in yaml.safe_load_all(_suite()):
        zone = SuiteZone({name.lower(): list(_records(data)) for name, data in scenario["zonedata"].items()})
        for name, test in scenario["tests"].items():
            results = test["result"] if isinstance(test["result"], list) else [test["result"]]
            yield Case(name, str(test["host"]), str(test["helo"]), str(test["mailfrom"]), results, zone)


def _records(data: list[Any]) -> Iterator[tuple[str, Any]]:
    """Records as (type, value). Those of type SPF are TXT records, unless there are such."""
    entries: list[tuple[str, Any]] = []
    for one in data:
        entries += [("TIMEOUT", None)] if one == "TIMEOUT" else list(one.items())
    has_txt = any(kind == "TXT" for kind, _ in entries)
    for kind, value in entries:
        if kind in ("TXT", "SPF"):
            if value != "NONE" and (kind == "TXT" or not has_txt):
                yield "TXT", value
        else:
            yield kind, value


def _backwards(address: str) -> str:
    return ipaddress.ip_address(address).reverse_pointer


def _suite() -> bytes:
    with tarfile.open(_distribution()) as archive:
        member = next(name for name in archive.getnames() if name.endswith(_MEMBER))
        content = archive.extractfile(member)
        assert content is not None
        return content.read()


def _distribution() -> Path:
    """The source distribution of the installed pyspf."""
    version = importlib.metadata.version("pyspf")
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = base / "postmask-tests" / f"pyspf-{version}.tar.gz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            _download(Path(folder)).replace(kept)
    return kept


def _download(folder: Path) -> Path:
    wanted = re.search(r"^pyspf==[^\n]*\\\n(?:    --hash=[^\n]*\n)+", _LOCK.read_text(), re.MULTILINE)
    assert wanted, "requirements.lock names pyspf with its hashes"
    (folder / "wanted.txt").write_text(wanted[0])
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download"]
    options = ["--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--require-hashes"]
    done = subprocess.run(
        [*pip, *options, "--dest", str(folder), "-r", str(folder / "wanted.txt")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = next(folder.glob("pyspf-*.tar.gz"), None)
    if done.returncode or found is None:
        pytest.fail(f"the RFC 7208 suite could not be fetched from the package index:\n{done.stderr}")
    return found
