"""Our playbooks, run from a host on the wire, by ssh, as an operator does it.

control = Control(wire, "control", folder)
control.inventory({"postmask_mx": {"hosts": {...}, "vars": {...}}}, hosts)
told = control.play("site.yml", "--check", "--diff")
told.changed, told.text
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from booted import Host
from network import Network
from trees import ROOT

_RECAP = re.compile(r"(?m)^(\S+) +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ")


@dataclass(frozen=True, slots=True)
class Told:
    """What a play said. changed: the number of changes on each host."""

    text: str
    changed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Control:
    """The operator's machine; `folder` is where the inventory is."""

    wire: Network
    host: str
    folder: Path

    def inventory(self, groups: Mapping[str, Any], hosts: Iterable[Host]) -> None:
        """Write it; how the hosts are reached is added."""
        reached = {
            host.name: {
                "ansible_host": host.address,
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(host.key),
                "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null",
            }
            for host in hosts
        }
        told = {"all": {"hosts": reached}, **groups}
        (self.folder / "inventory.yml").write_text(json.dumps(told, indent=1))

    def play(self, playbook: str, *words: str) -> Told:
        """A playbook of ours that ends well."""
        done = self.run(playbook, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        changed = {host: int(number) for host, number in _RECAP.findall(done.stdout)}
        assert changed, done.stdout
        return Told(done.stdout, changed)

    def run(self, playbook: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A playbook of ours, however it ends."""
        program = Path(sys.executable).with_name("ansible-playbook")
        settings = {"ANSIBLE_NOCOLOR": "1", "ANSIBLE_HOME": str(self.folder), "ANSIBLE_PIPELINING": "1"}
        # Other hosts have this address in other networks.
        settings["ANSIBLE_SSH_CONTROL_PATH_DIR"] = str(self.folder)
        inventory = str(self.folder / "inventory.yml")
        with self.wire.inside(self.host):
            return subprocess.run(
                [str(program), "-i", inventory, str(ROOT / "ansible" / playbook), *words],
                cwd=self.folder,
                env={**os.environ, **settings},
                capture_output=True,
                text=True,
            )
