"""A Postgres that somebody else runs, by an administrator's URL; passwords and master secrets in a vault.

Its certificate is by an authority that the mail exchanger's system knows. The passwords have characters in
them that mean something in a URL.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import postgres
from certificates import Authority
from copies import Reader, vaulted
from network import Network
from postgres import Cluster
from postmask.clock import SystemClock
from postmask.keys import keyfile
from provisioned import Lab, bare, directory, wait_until

MX, POSTGRES = "mx.host.test", "pg"
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_ADMINISTRATOR = "CREATE ROLE administrator LOGIN CREATEROLE CREATEDB PASSWORD 'a@dmin'"
_GONE = ("DROP DATABASE postmask WITH (FORCE)", "DROP ROLE postmask_node", "DROP ROLE postmask")


def test_a_managed_postgres(tmp_path: Path) -> None:
    with bare({MX: "bookworm"}, tmp_path, POSTGRES) as lab, _provider(lab.world.wire, tmp_path) as cluster:
        reader, keys = Reader(tmp_path), tmp_path / "keys"
        keyfile.init(keys, SystemClock())
        secrets = {"owner": "it's o/wn@r", "node": "n%de:1", "administrator": "a@dmin"}
        words = vaulted(tmp_path, secrets | {"keys": keys.read_text()})
        lab.hosts[MX].path("usr/local/share/ca-certificates/provider.crt").write_bytes(
            (tmp_path / "provider.pem").read_bytes()
        )
        lab.hosts[MX].run("update-ca-certificates")
        _inventory(lab, reader, cluster)
        lab.control.play("site.yml", *words, "--check", "--diff")
        told = lab.control.play("site.yml", *words)
        assert not any(secret in told.text for secret in secrets.values())
        assert lab.hosts[MX].path("etc/postmask/keys").read_text() == keys.read_text()
        records = lab.publish()
        contact = lab.exchange(MX, records)
        assert lab.control.play("site.yml", *words).changed == {MX: 0}
        assert lab.control.play("move_db.yml", *words, "--check", "--diff").changed == {MX: 0}

        wait_until(lambda: contact in lab.postmask(MX, "contact", "list", "shop@alias.test"), "the contact")
        lab.control.play("backup.yml", *words)
        with lab.world.wire.inside(POSTGRES):
            for statement in _GONE:
                cluster.command(statement)
        lab.control.play("restore.yml", *words, *reader.words, "--check", "--diff")
        lab.control.play("restore.yml", *words, *reader.words)
        lab.answer(MX, contact, records)
        assert lab.exchange(MX, records) == contact
        assert lab.control.play("site.yml", *words, "--check", "--diff").changed == {MX: 0}


@contextlib.contextmanager
def _provider(wire: Network, folder: Path) -> Iterator[Cluster]:
    """A server on a host of its own, for those who come with TLS."""
    certificate, key = Authority(folder, "provider").issue(wire.address(POSTGRES))
    with wire.hosting(POSTGRES, postgres.running()) as cluster, wire.inside(POSTGRES):
        for path in (certificate, key):
            shutil.copy(path, cluster.data / path.name)
            shutil.chown(cluster.data / path.name, "postgres", "postgres")
        (cluster.data / "server.key").chmod(0o600)
        cluster.open_to_the_wire("ssl = on", by="hostssl")
        cluster.command(_ADMINISTRATOR)
        yield cluster


def _inventory(lab: Lab, reader: Reader, cluster: Cluster) -> None:
    server = f"{lab.world.wire.address(POSTGRES)}:{cluster.port}"
    place = f"{server}/postmask?sslmode=verify-full&sslrootcert={_AUTHORITIES}"
    variables = directory("bookworm", lab.control.folder) | {
        "postmask_mx_database_url": _url("postmask_node", "node", place),
        "postmask_mx_database_owner_url": _url("postmask", "owner", place),
        "postmask_mx_keys": "{{ keys }}",
        "postmask_dns_state": "absent",
        "postmask_spam_state": "absent",
        "postmask_backup_recipients": [reader.recipient],
    }
    made_there = {
        "postmask_db_admin_url": _url("administrator", "administrator", f"{server}/postgres?sslmode=require"),
        "postmask_db_owner_password": "{{ owner }}",
        "postmask_db_ca": _AUTHORITIES,
    }
    groups = {
        "postmask_mx": {"hosts": {MX: {}}, "vars": variables},
        "postmask_db": {"hosts": {MX: {}}, "vars": made_there},
    }
    lab.control.inventory(groups, lab.hosts.values())


def _url(role: str, password: str, place: str) -> str:
    """Of a role whose password is in the vault."""
    return f"postgresql://{role}:{{{{ {password} | urlencode | replace('/', '%2F') }}}}@{place}"
