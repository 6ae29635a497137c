"""Copies that our backup.yml makes and fetches, whoever can read them, and variables that are in a vault.

reader = Reader(folder)
variables["postmask_backup_recipients"] = [reader.recipient]
vault = vaulted(folder, {"vault_owner_password": "…"})
control.play("restore.yml", *vault, *reader.words)
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path


class Reader:
    """Who can read the copies. words: what restore.yml is told of the identity."""

    def __init__(self, folder: Path) -> None:
        identity = folder / "identity.txt"
        made = subprocess.run(["age-keygen", "-o", str(identity)], capture_output=True, text=True, check=True)
        found = re.search(r"age1\w+", made.stderr)
        assert found, made.stderr
        self.recipient = found[0]
        self.words = ("-e", f"postmask_restore_identity={identity}")


def fetched(folder: Path) -> Path:
    """The newest copy in a folder of the control machine."""
    return max(folder.glob("postmask-*.age"))


def vaulted(folder: Path, variables: Mapping[str, str]) -> tuple[str, ...]:
    """Encrypt variables of all hosts beside the inventory; the words by which a play can read them."""
    password = folder / "vault-password"
    password.write_text("open sesame\n")
    vault = folder / "group_vars/all/vault.yml"
    vault.parent.mkdir(parents=True)
    vault.write_text(json.dumps(dict(variables)))
    words = ("--vault-password-file", str(password))
    program = Path(sys.executable).with_name("ansible-vault")
    subprocess.run([str(program), "encrypt", *words, str(vault)], capture_output=True, check=True)
    assert vault.read_text().startswith("$ANSIBLE_VAULT;")
    return words
