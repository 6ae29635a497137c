"""The doctor's group `node`: a fault for every code, found alone, and silence on a node that is right."""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import pytest
from sqlalchemy import text

from cli_site import NOW, Site
from postmask.cli import postfix_facts
from postmask.cli.checks import files, programs
from postmask.cli.doctor import access
from postmask.cli.runtime import Runtime
from postmask.clock import DAY
from postmask.doctor import examination
from postmask.doctor import node as codes
from postmask.doctor.finding import Code
from postmask.keys import Keyring, Secret
from postmask.keys.fingerprint import publish_fingerprint
from postmask.maillog.reckoning import Queued
from postmask.spam import opening
from postmask.spam.bypass import Bypass
from postmask.spool import Entry, LedgerRow, Spool
from postmask.store import intake, schema
from postmask.store import nodes as node_rows
from postmask_postfix import client, commands, queue, sync
from postmask_postfix.commands import PostfixError

NOTHING_SAID = node_rows.Report("0.1", None, None, None, None, None, None, None)


@dataclass
class Node:
    """A node that is as it should be: Postfix and programs are played, all else is there."""

    site: Site
    patch: pytest.MonkeyPatch
    queued: dict[str, Queued] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.patch.setattr(os, "geteuid", lambda: 0)
        self.patch.setattr(postfix_facts, "installed", lambda _folder: True)
        self.patch.setattr(sync, "attached", lambda _folder: True)
        self.patch.setattr(sync, "sync_domains", lambda _folder, _names: False)
        self.patch.setattr(sync, "ours", lambda _folder: re.compile("@alias.test$"))
        self.patch.setattr(queue, "queued", lambda _folder: self.queued)
        self.patch.setattr(commands, "values", lambda _folder, *names: dict.fromkeys(names, "5d"))
        self.patch.setattr(access, "is_user", lambda _name: True)
        self.patch.setattr(client, "is_current", lambda _folder: True)
        self.programs("")
        self.rights("")
        with self.spool():
            pass

    def programs(self, trouble: str) -> None:
        self.patch.setattr(programs, "silence", lambda _program: trouble)

    def rights(self, lacking: str) -> None:
        """lacking: the script that others than root can't run."""
        self.patch.setattr(
            access, "tried", lambda _user, _folder, script, *_: "Permission denied" * (script == lacking)
        )

    def engine(self, problem: str) -> None:
        """A spam engine that answers, or doesn't."""
        probed = SimpleNamespace(answers=not problem, milliseconds=1.0, problem=problem)
        one = SimpleNamespace(name="spamd", place="127.0.0.1:783")
        self.patch.setattr(opening, "installed", lambda _settings: [one])
        self.patch.setattr(opening, "probe", lambda _one, _clock: probed)

    def spool(self) -> contextlib.closing[Spool]:
        return contextlib.closing(Spool(self.site.spool, self.site.clock))

    def sql(self, statement: str) -> None:
        with self.runtime as runtime, runtime.engine.begin() as connection:
            connection.execute(text(statement))

    @property
    def runtime(self) -> Runtime:
        made = Runtime(self.site.clock)
        made.config_file = self.site.config
        return made

    def rewrite(self, old: str, new: str) -> None:
        """In the configuration."""
        self.site.config.write_text(self.site.config.read_text().replace(old, new))


@pytest.fixture
def node(bare: Site, monkeypatch: pytest.MonkeyPatch) -> Node:
    bare.configure(f'[spam]\ndirectory = "{bare.folder}"\n')
    return Node(bare, monkeypatch)


def paused(node: Node) -> None:
    node.site.text("mailbox", "add", "me@real.test", "--verified")
    node.site.text("mailbox", "pause", "me@real.test")


def wrong_clock(node: Node) -> None:
    right = schema.status

    def ahead(url: str) -> schema.Status:
        return replace(right(url), clock=NOW + 300)

    node.patch.setattr(schema, "status", ahead)


def told(node: Node, keys: str | None, at: float = NOW) -> None:
    """What another node has said, and when."""
    with node.runtime as runtime, runtime.engine.begin() as connection:
        intake.seen(connection, "mx2.host.test", at)
        node_rows.report(connection, "mx2.host.test", replace(NOTHING_SAID, keys=keys))


def silent_node(node: Node) -> None:
    with node.runtime as runtime:
        told(node, runtime.keys.fingerprint, NOW - 1_000)


def own_secrets(node: Node) -> None:
    """Of this node, before its file was another one."""
    publish_fingerprint(node.site.folder, Keyring([Secret(9, "2026-01-01", b"o" * 32)]))


def no_replica(node: Node) -> None:
    folder = node.site.folder
    node.patch.setattr(schema, "read_only_to_nodes", lambda _: False)
    node.rewrite("[database]\nurl", '[database]\nurl = "postgresql://h/d"\nowner_url')
    node.site.config.write_text(f'{node.site.config.read_text()}[replica]\ndirectory = "{folder}"\n')


def refused_entry(node: Node) -> None:
    with node.spool() as spool:
        spool.put([Entry.new("event")])
        spool.set_aside(1, "no such alias")


def waiting_entry(node: Node) -> None:
    with node.spool() as spool:
        spool.put([Entry.new("event", at=NOW - 301)])


def stuck_copy(node: Node) -> None:
    with node.spool() as spool:
        spool.begin([LedgerRow(b"key", "shop@alias.test", "4ABCDEF")])
    node.queued["4ABCDEF"] = Queued("4ABCDEF", "deferred", ("shop@alias.test",), "bob@example.com", NOW)
    node.site.clock.advance(600)


def troubled_copy(node: Node) -> None:
    with node.spool() as spool:
        spool.finish([LedgerRow(b"key", "shop@alias.test", "4ABCDEF", reason="451 busy")])


def ending_mail(node: Node) -> None:
    waits = Queued("4ABCDEF", "deferred", ("shop@alias.test",), "bob@example.com", NOW - 4.9 * DAY)
    node.queued["4ABCDEF"] = waits


def fails(*_: object) -> None:
    raise PostfixError("postqueue failed")


def no_spam_folder(node: Node) -> None:
    node.engine("")
    node.site.configure('[spam]\ndirectory = "/proc/none"\n')


def other_secrets(node: Node) -> None:
    node.site.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    (node.site.folder / "keys").unlink()
    node.site.text("keys", "init")


CASES: list[tuple[Code, str, Callable[[Node], object]]] = [
    (codes.SETTINGS, "configuration", lambda node: node.site.configure("[nonsense]\n")),
    (codes.KEYS, "keys", lambda node: (node.site.folder / "keys").unlink()),
    (codes.DATABASE, "database", lambda node: node.rewrite("/postmask.db", "/none/postmask.db")),
    (codes.SCHEMA, "database", lambda node: (node.site.folder / "postmask.db").write_bytes(b"")),
    (codes.NOT_IN_USE, "database", lambda node: node.sql("UPDATE generation SET phase = 'moved'")),
    (codes.MAILBOX_PAUSED, "me@real.test", paused),
    (codes.CLOCK, "clock", wrong_clock),
    (codes.NODE_SILENT, "mx2.host.test", silent_node),
    (codes.REPLICA, "replica", no_replica),
    (codes.SPOOL, "spool", lambda node: node.site.spool.unlink()),
    (codes.OUTBOX_REFUSED, "spool", refused_entry),
    (codes.READ_ONLY, "database", lambda node: node.patch.setattr(schema, "_is_read_only", lambda _: True)),
    (codes.OUTBOX_WAITS, "spool", waiting_entry),
    (codes.COPIES_STUCK, "spool", stuck_copy),
    (codes.COPY_TROUBLED, "4ABCDEF", troubled_copy),
    (codes.PROGRAM, "postmask-forwarder", lambda node: node.programs("nobody listens")),
    (codes.QUEUE_ENDING, "queue", ending_mail),
    (codes.QUEUE, "queue", lambda node: node.patch.setattr(queue, "queued", fails)),
    (codes.SPAM_ENGINE, "spamd", lambda node: node.engine("connection refused")),
    (codes.SPAM_BYPASS, "spam", lambda node: Bypass(node.site.folder, node.site.clock).switch_on(math.inf)),
    (codes.DISK, "spool", lambda node: node.patch.setattr(files, "LEAST_FREE", 1 << 62)),
    (codes.POSTFIX, "postfix", lambda node: node.patch.setattr(postfix_facts, "installed", lambda _: False)),
    (codes.NOT_ATTACHED, "postfix", lambda node: node.patch.setattr(sync, "attached", lambda _: False)),
    (codes.SPAM_FOLDER, "spam", no_spam_folder),
    (codes.DRAINED, "drain", lambda node: (node.site.folder / "drain.json").write_text("noise")),
    (codes.SECRETS, "pm20270115080000r._domainkey.alias.test", other_secrets),
    (codes.SECRETS_DIFFER, "mx2.host.test", lambda node: told(node, "1:0123456789abcdef")),
    (codes.SECRETS_UNSAID, "mx2.host.test", lambda node: told(node, None)),
    (codes.SECRETS_WAITING, "keys.file", own_secrets),
    (codes.SOCKET_RIGHTS, "gate.sock, postfix", lambda node: node.rights(access._CONNECT)),
    (codes.PROC, "/proc", lambda node: node.rights(access._PARENT)),
    (codes.PIPE_CLIENT, "rights", lambda node: node.rights(access._CLIENT)),
    (codes.HOLD_KEEP, "held", lambda node: node.site.configure("[hold]\nkeep = 216000\n")),
    (codes.PIPE_CLIENT, "version", lambda node: node.patch.setattr(client, "is_current", lambda _: False)),
]


NO_QUEUE = (codes.QUEUE, codes.COPIES_STUCK, codes.COPY_TROUBLED)


def found(node: Node) -> list[tuple[str, str]]:
    """Codes and places. What can't be looked at for the fault's sake (PM001) is left out."""
    done = node.site.run("doctor", "--only", "node", "--json")
    failed = examination.CHECK_FAILED.id
    findings = json.loads(done.stdout)["findings"]
    return [(one["code"], one["where"]) for one in findings if one["code"] != failed]


def test_silent_on_a_node_that_is_right(node: Node) -> None:
    with node.runtime as runtime:
        publish_fingerprint(node.site.folder, runtime.keys)
        told(node, runtime.keys.fingerprint)
    assert node.site.text("doctor", "--only", "node") == "nothing is wrong (node)\n"


@pytest.mark.parametrize(("code", "where", "spoil"), CASES, ids=[case[0].id for case in CASES])
def test_each_fault_is_found_alone(
    node: Node, code: Code, where: str, spoil: Callable[[Node], object]
) -> None:
    spoil(node)
    places = found(node)
    assert {one for one, _ in places} == {code.id}
    assert where in [place for _, place in places]


def test_after_the_loss_of_the_secrets_all_can_be_made_good(node: Node) -> None:
    node.site.text("domain", "add", "alias.test", "--postmaster", "chief@real.test")
    node.site.text("mailbox", "add", "me@real.test", "--verified")
    node.site.text("alias", "add", "shop@alias.test", "--to", "me@real.test")
    node.site.text("contact", "add", "shop@alias.test", "bob@far.test")
    (key,) = node.site.json("domain", "show", "alias.test")["dkim_keys"]
    (node.site.folder / "keys").unlink()
    node.site.text("keys", "init")
    assert found(node) == [
        (codes.SECRETS.id, f"{key['selector']}._domainkey.alias.test"),
        (codes.SECRETS.id, "reverse aliases"),
    ]
    node.site.clock.advance(1)
    node.site.text("domain", "edit", "alias.test", "--add-key", "rsa")
    node.site.text("domain", "edit", "alias.test", "--drop-key", key["selector"])
    node.site.text("contact", "replace", "shop@alias.test", "bob@far.test")
    assert found(node) == []


def test_what_is_on_hold_waits_for_nobody_but_the_operator(node: Node) -> None:
    """As a message that is held as it came, for the alias."""
    held = Queued("4ABCDEF", "hold", ("shop@alias.test",), "bob@example.com", NOW - 30 * DAY)
    node.queued["4ABCDEF"] = held
    assert found(node) == []


def test_of_what_waits_that_is_told_which_postfix_returns_first(node: Node) -> None:
    """What has no sender may live shorter."""
    times = {"bounce_queue_lifetime": "1d", "maximal_backoff_time": "1h", "queue_run_delay": "5m"}
    node.patch.setattr(commands, "values", lambda _, *names: dict.fromkeys(names, "5d") | times)
    for queue_id, sender, days in (("4OLDER", "bob@example.com", 1.5), ("4YOUNG", "", 0.95)):
        message = Queued(queue_id, "deferred", ("shop@alias.test",), sender, NOW - days * DAY)
        node.queued[queue_id] = message
    assert found(node) == [(codes.QUEUE_ENDING.id, "queue")]
    assert "Postfix returns 4YOUNG to its sender" in node.site.run("status").stdout


def test_a_copy_whose_message_left_the_queue_is_no_trouble(node: Node) -> None:
    """Where the queue can't be asked nobody knows that it did."""
    troubled_copy(node)
    node.site.clock.advance(600)
    assert found(node) == []
    node.patch.setattr(queue, "queued", fails)
    assert {code for code, _ in found(node)} == {one.id for one in NO_QUEUE}
    with node.spool() as spool:
        assert len(spool.unsent()) == 1


def test_every_code_has_a_fault_here() -> None:
    assert {code for code, _, _ in CASES} == set(codes.CODES)
