"""A little site: configuration, keys, database; and the command line run on it in this process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from postmask.cli.program import program
from postmask.cli.runtime import Runtime
from postmask.clock import ManualClock
from postmask_postfix.instance import cool

NOW = 1_800_000_000.0


@dataclass
class Site:
    """A folder with configuration, keys and database; the clock stands still."""

    folder: Path
    clock: ManualClock

    @property
    def config(self) -> Path:
        return self.folder / "postmask.toml"

    @property
    def spool(self) -> Path:
        return self.folder / "spool.db"

    def configure(self, more: str = "") -> None:
        """Write the configuration file, with more sections at its end."""
        self.config.write_text(
            f'[node]\nname = "mx.host.test"\n'
            f'[database]\nurl = "sqlite:///{self.folder}/postmask.db"\n'
            f'[keys]\nfile = "{self.folder}/keys"\n'
            f'[spool]\npath = "{self.spool}"\n'
            f'[postfix]\nconfig_dir = "{self.folder}/postfix"\n'
            f'[sockets]\ndirectory = "{self.folder}/sockets"\n' + more
        )

    def unstarted_postfix(self) -> Path:
        """Make the configuration of a Postfix that was never started; its log, empty."""
        folder = self.folder / "postfix"
        folder.mkdir()
        (folder / "main.cf").write_text("compatibility_level = 3.6\ninfo_log_address_format = external\n")
        (folder / "master.cf").touch()
        for file in folder.iterdir():
            cool(file)
        log = self.folder / "log"
        log.touch()
        return log

    def run(self, *words: str, stdin: str | None = None) -> Result:
        """A call, whatever comes of it."""
        return CliRunner().invoke(
            program, ["--config", str(self.config), *words], input=stdin, obj=Runtime(self.clock)
        )

    def text(self, *words: str, stdin: str | None = None) -> str:
        """What a person sees of a call that goes well."""
        told = self.run(*words, stdin=stdin)
        assert told.exit_code == 0, told.output
        return told.stdout

    def json(self, *words: str) -> Any:
        """What a program sees of a call that goes well, if it takes JSON alone (RFC 8259), unlike Python."""
        return json.loads(self.text(*words, "--json"), parse_constant=_refuse)

    def refusal(self, status: int, *words: str, stdin: str | None = None) -> str:
        """The message of a call that ends with this exit status, and says nothing on standard output."""
        told = self.run(*words, stdin=stdin)
        assert told.exit_code == status, told.output
        assert told.stdout == ""
        assert "Traceback" not in told.stderr
        return told.stderr


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is no JSON")
