"""The tree of a host that has Postfix and systemd, as far as `postmask system` looks at it."""

from __future__ import annotations

import json
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from postmask.cli.program import program
from postmask.cli.runtime import Runtime

PROGRAMS = "/opt/postmask/bin"

_FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\npostfix:x:101:106::/var/spool/postfix:/usr/sbin/nologin\n",
    "etc/group": "root:x:0:\npostfix:x:106:\npostdrop:x:107:\n",
    "etc/shadow": "root:*:19000:0:99999:7:::\n",
    "etc/gshadow": "root:*::\n",
    "etc/postfix/main.cf": "compatibility_level = 3.6\n",
    "usr/lib/systemd/systemd": "",
    "opt/postmask/bin/postmask-agent": "",
}


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything below `root`; the command line is run on it in this process."""

    root: Path

    def run(self, *words: str) -> Result:
        return CliRunner(env={"POSTMASK_CONFIG": None}).invoke(
            program, ["system", *words, "--root", str(self.root)], obj=Runtime()
        )

    def install(self, *words: str) -> list[str]:
        """The steps of a call that goes well."""
        return self._steps("install", "--programs", PROGRAMS, *words)

    def remove(self, *words: str) -> list[str]:
        return self._steps("remove", *words)

    def _steps(self, *words: str) -> list[str]:
        done = self.run(*words, "--json")
        assert done.exit_code == 0, done.output
        told: dict[str, Any] = json.loads(done.stdout)
        return list(told["steps"])

    def listing(self) -> dict[str, str]:
        """Each path with owner, group and mode, by name where there is one."""
        return {str(path.relative_to(self.root)): self.access(path) for path in sorted(self.root.rglob("*"))}

    def access(self, path: str | Path) -> str:
        status = (self.root / path).lstat()
        users, groups = (self._names(name) for name in ("passwd", "group"))
        owner, group = users.get(status.st_uid, "nobody known"), groups.get(status.st_gid, "nobody known")
        return f"{owner}:{group} {stat.S_IMODE(status.st_mode):04o}"

    def content(self) -> dict[str, bytes]:
        """What stands in each file."""
        return {
            str(path.relative_to(self.root)): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def groups(self, user: str) -> set[str]:
        lines = (line.split(":") for line in (self.root / "etc/group").read_text().splitlines())
        return {name for name, _, _, members in lines if user in members.split(",")}

    def users(self) -> set[str]:
        return set(self._names("passwd").values())

    def _names(self, file: str) -> dict[int, str]:
        lines = (line.split(":") for line in (self.root / "etc" / file).read_text().splitlines())
        return {int(number): name for name, _, number, *_ in lines}


def plant(root: Path) -> Tree:
    """A tree of which nothing has been installed yet."""
    for name, text in _FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "var/spool/postfix/public").mkdir(parents=True)
    for folder in (root, *filter(Path.is_dir, root.rglob("*"))):
        folder.chmod(0o755)
    return Tree(root)
