"""The replica's disk full or read-only, its file damaged under the running programs, a schema out of range:
mail flows or waits, nobody is wrongly refused; the log and `postmask status` say why.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from functools import partial

import pytest
from sqlalchemy import text

from faults import Watch, amiss, await_flow, fill, killed, message, mounted, remount
from lab import lab
from nameserver import Nameserver
from postgres import Cluster
from postmask.config import load
from postmask.store.engine import make_engine
from postmask.store.fitness import OLDEST, OURS
from postmask.store.replica.folder import Folder
from service import Service

PROGRAMS = ("milter-alias", "forwarder", "agent")
UNKNOWN = "nobody-of-this-name@alias.test"
MANY = """
WITH made AS (
    INSERT INTO alias (id, account_id, address, domain, state, when_disabled, created)
    SELECT number, account.id, 'many' || number || '@alias.test', 'alias.test', 'active', 'reject', 1
    FROM account, generate_series(:first, :first + 3000) AS number RETURNING id, account_id
)
INSERT INTO alias_mailbox (alias_id, mailbox_id, account_id)
SELECT made.id, mailbox.id, made.account_id FROM made, mailbox WHERE mailbox.address = :mailbox
"""


@pytest.fixture(scope="module")
def following(faulty_cluster: Cluster, names: Nameserver) -> Iterator[Service]:
    """A service with a replica."""
    with lab(door="lmtp", database=faulty_cluster.fresh(), nameserver=names.text) as running:
        yield Service("following", running, names)


@contextlib.contextmanager
def small_disk(service: Service) -> Iterator[None]:
    """A disk of its own for the replica."""
    folder = service.lab.directory / "directory"
    with contextlib.ExitStack() as disk:
        with killed(service, *PROGRAMS):
            disk.enter_context(mounted(folder, "40m"))
        try:
            service.lab.await_replica()
            yield
        finally:
            with killed(service, *PROGRAMS):
                disk.close()


def said(service: Service, statement: str, **values: object) -> None:
    """To the truth, by its owner."""
    engine = make_engine(load(service.lab.config, {}).database.owner_url)
    with engine.begin() as connection:
        connection.execute(text(statement), values)
    engine.dispose()


def logged(service: Service, *texts: str) -> bool:
    """Whether a line of the agent's has all of these."""
    lines = service.lab.program_log("agent").splitlines()
    return any(all(text in line for text in texts) for line in lines)


def test_its_disk_is_full(following: Service) -> None:
    with small_disk(following):
        owned, watch = following.alias(), Watch(following.lab)
        filler = fill(following.lab.directory / "directory")
        said(following, MANY, first=1, mailbox=owned.mailbox)
        following.lab.wait_for(partial(logged, following, "replica.waits", "full"), "the agent's word")
        following.lab.wait_for(partial(amiss, following, "disk: .*only 0.0 MB left"), "the status")
        following.send("full@example.com", [owned.alias], message(owned.alias, "meanwhile"))
        assert await_flow(following, owned.mailbox, 1) == ["meanwhile"]
        assert following.rcpt("many77@alias.test").startswith("250")
        assert following.rcpt(UNKNOWN).startswith("550 5.1.1")
        filler.unlink()
        following.lab.await_replica()
        following.lab.wait_for(lambda: not amiss(following), "a status that finds nothing amiss")
        assert watch.bounced() == []


def test_its_disk_is_read_only(following: Service) -> None:
    with small_disk(following):
        folder = following.lab.directory / "directory"
        owned, watch = following.alias(), Watch(following.lab)
        with killed(following, *PROGRAMS):
            following.lab.wait_for(partial(remount, folder, "ro"), "nobody to have a file open there")
        said(following, MANY, first=10_000, mailbox=owned.mailbox)
        following.lab.wait_for(partial(logged, following, "error:", "ead-only"), "the agent's word")
        following.lab.wait_for(partial(amiss, following, "disk: .*is read-only"), "the status")
        following.send("read-only@example.com", [owned.alias], message(owned.alias, "meanwhile"))
        assert await_flow(following, owned.mailbox, 1) == ["meanwhile"]
        assert following.rcpt("many10077@alias.test").startswith("250")
        assert following.rcpt(UNKNOWN).startswith("550 5.1.1")
        assert remount(folder, "rw")
        following.lab.wait_for(lambda: not amiss(following), "a status that finds nothing amiss", 60.0)
        assert watch.bounced() == []


@pytest.mark.parametrize("damage", ["cut off", "noise"])
def test_damaged_while_nobody_can_make_another(
    following: Service, faulty_cluster: Cluster, damage: str
) -> None:
    """With the truth away as well nobody knows anything: what is there waits, and comes once afterwards."""
    owned, watch = following.alias(), Watch(following.lab)
    with killed(following, "forwarder"):
        queued = message(owned.alias, "queued before")
        queue_id = following.send("before@example.com", [owned.alias], queued).queue_id
        watch.await_lines(1, queue_id, "status=deferred")
        with faulty_cluster.stopped():
            path = Folder(following.lab.directory / "directory").current()
            assert path is not None
            if damage == "cut off":
                os.truncate(path, 5000)
            else:
                with path.open("r+b") as file:
                    file.write(os.urandom(path.stat().st_size))
            following.lab.up()
            following.lab.flush()
            watch.await_lines(2, queue_id, "status=deferred")
            assert following.rcpt(owned.alias)[:3] in ("250", "451")
            assert following.rcpt(UNKNOWN).startswith("451 4.3.0")
            following.lab.wait_for(
                partial(amiss, following, "replica: there is none that can be used"), "the status"
            )
    assert logged(following, "replica.damaged")
    assert await_flow(following, owned.mailbox, 1, 90.0) == ["queued before"]
    following.lab.await_replica()
    following.lab.wait_for(lambda: not amiss(following), "a status that finds nothing amiss", 60.0)
    assert watch.bounced() == []


@pytest.mark.parametrize(
    ("change", "undo", "finding"),
    [
        (
            "UPDATE generation SET reader = '9999'",
            f"UPDATE generation SET reader = '{OLDEST}'",
            "replica: .*too new for this program; upgrade Postmask here",
        ),
        (
            "UPDATE alembic_version SET version_num = '0001'",
            f"UPDATE alembic_version SET version_num = '{OURS}'",
            "replica: .*see: postmask db upgrade",
        ),
    ],
)
def test_a_schema_out_of_range(following: Service, change: str, undo: str, finding: str) -> None:
    """What the replica knows flows; what it lacks is nobody's to say."""
    owned, watch = following.alias(), Watch(following.lab)
    said(following, change)
    try:
        following.lab.wait_for(partial(amiss, following, finding), "the status")
        assert logged(following, "replica.incompatible")
        following.send("schema@example.com", [owned.alias], message(owned.alias, "meanwhile"))
        assert await_flow(following, owned.mailbox, 1) == ["meanwhile"]
        following.lab.wait_for(
            lambda: following.rcpt(UNKNOWN).startswith("451 4.3.0"), "unknown ones to be asked to wait"
        )
    finally:
        said(following, undo)
    following.lab.wait_for(lambda: following.rcpt(UNKNOWN).startswith("550 5.1.1"), "the truth's return")
    following.lab.wait_for(lambda: not amiss(following), "a status that finds nothing amiss", 60.0)
    assert watch.bounced() == []
