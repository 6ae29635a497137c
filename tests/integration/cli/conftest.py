"""Sites for real processes, on SQLite and on Postgres."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True, slots=True)
class Shell:
    """The command line as a process of its own. config: what POSTMASK_CONFIG names."""

    config: Path

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, "POSTMASK_CONFIG": str(self.config)}
        command = [sys.executable, "-P", "-m", "postmask.cli", *words]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environ)

    def json(self, *words: str) -> Any:
        told = self.run(*words, "--json")
        assert told.returncode == 0, told.stderr
        assert told.stderr == ""
        return json.loads(told.stdout)


@pytest.fixture(params=["sqlite", "postgres"])
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Shell:
    """Configured, nothing made yet."""
    if request.param == "sqlite":
        database = f'url = "sqlite:///{tmp_path}/postmask.db"\n'
    else:
        owner = request.getfixturevalue("postgres").fresh()
        name = owner.rpartition("/")[2]
        place = owner.rpartition("@")[2]
        database = f'owner_url = "{owner}"\nurl = "postgresql://{name}_node:geheim@{place}"\n'
    config = tmp_path / "postmask.toml"
    config.write_text(
        f'[node]\nname = "mx.host.test"\n[database]\n{database}'
        f'[keys]\nfile = "{tmp_path}/keys"\n[spool]\npath = "{tmp_path}/spool.db"\n'
        f'[postfix]\nconfig_dir = "{tmp_path}/none"\n[sockets]\ndirectory = "{tmp_path}/none"\n'
    )
    return Shell(config)
