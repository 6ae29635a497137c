"""A machine for the database that is lost with all it had, and what the copies bring back."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from copies import Reader, fetched, vaulted
from provisioned import Lab, bare, directory, wait_until

MX, DB = "mx.host.test", "db.host.test"
_URL = f"postgresql://{{}}@{DB}/postmask?sslmode=verify-full&sslrootcert=/etc/postmask/ca-{DB}.pem"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with bare({MX: "bookworm", DB: "bookworm"}, tmp_path) as made:
        yield made


def inventory(lab: Lab, **more: Any) -> None:
    variables = directory("bookworm", lab.control.folder) | {
        "postmask_mx_database_url": _URL.format("postmask_node:{{ vault_node_password }}"),
        "postmask_mx_database_owner_url": _URL.format("postmask:{{ vault_owner_password }}"),
        "postmask_dns_state": "absent",
        "postmask_spam_state": "absent",
    }
    owned = {"postmask_db_hostname": DB, "postmask_db_owner_password": "{{ vault_owner_password }}"}
    groups = {
        "postmask_mx": {"hosts": {MX: {}}, "vars": variables | more},
        "postmask_db": {"hosts": {DB: {}}, "vars": owned},
    }
    lab.control.inventory(groups, lab.hosts.values())


def test_a_lost_database(lab: Lab) -> None:
    folder, play = lab.control.folder, lab.control.play
    reader = Reader(folder)
    vault = vaulted(folder, {"vault_owner_password": "owner-1", "vault_node_password": "node-1"})
    inventory(lab, postmask_backup_recipients=[reader.recipient])
    named = ("-e", f"postmask_restore_copy={folder}/copies/postmask-20260101T000000Z.age")
    for playbook in ("backup.yml", "detach.yml", "upgrade.yml", "add_mx.yml", "move_db.yml"):
        play(playbook, *vault, "--check", "--diff")
    play("restore.yml", *vault, *reader.words, *named, "--check", "--diff")
    _nothing_is_there(lab)

    play("site.yml", *vault)
    records = lab.publish()
    contact = lab.exchange(MX, records)
    wait_until(lambda: contact in lab.postmask(MX, "contact", "list", "shop@alias.test"), "the contact")
    for playbook in ("site.yml", "add_mx.yml", "move_db.yml"):
        assert play(playbook, *vault, "--check", "--diff").changed == {MX: 0, DB: 0}, playbook

    fetch = ("-e", f"postmask_backup_fetch={folder}/copies")
    play("backup.yml", *vault, *fetch, "--check", "--diff")
    assert not (folder / "copies").exists()
    play("backup.yml", *vault, *fetch)
    assert list(folder.glob("copies-keys/keys-*.age"))
    lab.postmask(MX, "alias", "add", "later@alias.test", "--to", "you@real.test")
    wait_until(lambda: lab.verdict(MX, "later@alias.test") == 250, "an alias that isn't in the copy")

    _lose(lab)
    assert lab.verdict(MX, "shop@alias.test") == 250
    told = play("restore.yml", *vault, *reader.words, "--check", "--diff")
    assert "would be put in the place of" in told.text
    assert not lab.hosts[DB].path("etc/postmask-db").exists()
    named = ("-e", f"postmask_restore_copy={fetched(folder / 'copies')}")
    begun = time.monotonic()
    play("restore.yml", *vault, *reader.words, *named)
    print(f"restore.yml took {time.monotonic() - begun:.0f} s")
    wait_until(lambda: lab.verdict(MX, "later@alias.test") == 550, "what was made after the copy to be gone")
    assert "later@alias.test" not in lab.postmask(MX, "alias", "list")
    lab.answer(MX, contact, records)
    assert lab.exchange(MX, records) == contact
    assert play("site.yml", *vault, "--check", "--diff").changed == {MX: 0, DB: 0}
    inventory(lab)
    assert play("site.yml", *vault, "--check", "--diff").changed[MX] > 0, "nobody is to read copies any more"


def _nothing_is_there(lab: Lab) -> None:
    for host in lab.hosts.values():
        for name in ("opt/postmask", "etc/postfix", "etc/postmask", "etc/postmask-db", "etc/postgresql"):
            assert not host.path(name).exists(), name


def _lose(lab: Lab) -> None:
    """The cluster, and the authority and its certificates: what is left of it doesn't start."""
    lab.hosts[DB].run("pg_dropcluster", "--stop", "15", "main")
    lab.hosts[DB].run("rm", "-r", "/etc/postmask-db")
    lab.hosts[DB].run("pg_createcluster", "15", "main")
