"""Two mail exchangers and a machine for the database: cut off, added, upgraded and moved while mail flows.

The tests share the service, in this order: each leaves it whole.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from exchangers import ALIAS, SENDER, Exchangers, Sent, exchangers
from trees import wheel_of_version

FIRST, SECOND, THIRD = NAMES = ("mx1.host.test", "mx2.host.test", "mx3.host.test")
OLD, NEW = DATABASES = ("db.host.test", "db2.host.test")


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Exchangers]:
    """The service, by one command, from bare hosts."""
    with exchangers(tmp_path_factory.mktemp("control"), NAMES, DATABASES) as made:
        made.inventory(OLD, without=[THIRD])
        made.lab.control.play("site.yml", "--check", "--diff")
        timed(made, "site.yml")
        made.lab.publish()
        yield made


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The wheel that they have from the upgrade on."""
    return str(wheel_of_version("9.9.9", tmp_path_factory.mktemp("newer")))


def timed(there: Exchangers, playbook: str, *words: str) -> Any:
    """A play that ends well; says how long it took."""
    begun = time.monotonic()
    told = there.lab.control.play(playbook, *words)
    print(f"{playbook}: {time.monotonic() - begun:.0f} s, changed: {dict(told.changed)}")
    return told


def events(there: Exchangers, by: str, senders: set[str]) -> list[dict[str, Any]]:
    """What the database tells a node of messages from these senders."""
    found = there.postmask(by, "event", "list", "--alias", ALIAS, "--limit", "100000")
    return [event for event in found if event["contact"] in senders]


def agreed(there: Exchangers, sent: Sent) -> Counter[str]:
    """All arrived once, and events and contacts say so on every node; how many messages each forwarded."""
    there.await_all(sent)
    senders = set(sent.senders.values())
    wanted = len(sent.senders)
    there.wait_for(lambda: len(events(there, FIRST, senders)) >= wanted, "the database to be told of all")
    nodes = there.installed()
    first = events(there, FIRST, senders)
    assert Counter(event["contact"] for event in first) == Counter(sent.senders.values())
    assert {event["kind"] for event in first} == {"forwarded"}
    contacts = {
        name: {one["address"]: one["reverse_alias"] for one in there.postmask(name, "contact", "list", ALIAS)}
        for name in nodes
    }
    assert senders <= contacts[FIRST].keys()
    for name in nodes:
        assert events(there, name, senders) == first
        assert contacts[name] == contacts[FIRST]
    return Counter(event["node"] for event in first)


def test_the_second_run_changes_nothing(there: Exchangers) -> None:
    assert set(timed(there, "site.yml").changed.values()) == {0}


def test_mail_through_each(there: Exchangers) -> None:
    sent = Sent()
    for name in there.installed():
        subject, sender = f"by {name}", f"each@{SENDER}"
        there.send(subject, sender, by=name)
        sent.senders[subject] = sender
    assert agreed(there, sent) == {FIRST: 1, SECOND: 1}


def test_the_database_is_cut_off(there: Exchangers) -> None:
    """Known aliases go on, with senders that nobody met before; what was learned is told afterwards."""
    sent, nodes = Sent(), there.installed()
    with there.lab.world.wire.unplugged(OLD):
        for number, name in enumerate(nodes * 3):
            subject, sender = f"cut {number}", f"met-{number // 2}@{SENDER}"
            there.send(subject, sender, by=name)
            sent.senders[subject] = sender
        there.await_all(sent)
        for name in nodes:
            assert there.answer(name, "nobody@alias.test") == 451
    assert agreed(there, sent) == dict.fromkeys(nodes, 3)
    senders = set(sent.senders.values())
    contacts = there.postmask(FIRST, "contact", "list", ALIAS)
    reverse = [one["reverse_alias"] for one in contacts if one["address"] in senders]
    there.await_replicas()
    with there.lab.world.wire.unplugged(OLD):
        for name in nodes:
            assert [there.answer(name, one) for one in reverse] == [250] * len(senders)


def test_an_exchanger_is_cut_off(there: Exchangers) -> None:
    """The other takes all; both go on when it is back."""
    with there.load() as sent:
        there.await_arrived(sent, 20)
        with there.lab.world.wire.unplugged(FIRST):
            there.await_arrived(sent, len(sent.senders) + 60)
        there.await_arrived(sent, len(sent.senders) + 20)
    # Some were still on their way from the first one.
    assert told(there, f"{FIRST} cut off", sent)[SECOND] >= 30


def test_the_first_is_down(there: Exchangers) -> None:
    """The others are played all the same, and the play says of whom it can't be."""
    with there.lab.world.wire.unplugged(FIRST):
        # By connections of this play's own.
        done = there.lab.control.run("site.yml", "-e", "ansible_ssh_args=-C")
    assert done.returncode == 4, done.stdout
    assert re.search(rf"(?m)^{FIRST} +: .* changed=0 +unreachable=1 ", done.stdout), done.stdout
    assert re.search(rf"(?m)^{SECOND} +: .* changed=0 +unreachable=0 +failed=0 ", done.stdout), done.stdout


def test_upgrade(there: Exchangers, newer: str) -> None:
    """One after the other, drained before; a sender goes to the other meanwhile."""
    there.inventory(OLD, without=[THIRD], postmask_mx_wheel=newer)
    with during(there) as sent:
        timed(there, "upgrade.yml")
    assert told(there, "upgrade.yml", sent)[SECOND] > 0
    nodes = there.postmask(FIRST, "node", "list")
    assert {node["name"]: (node["version"], node["drained_at"]) for node in nodes} == {
        FIRST: ("9.9.9", None),
        SECOND: ("9.9.9", None),
    }


def test_one_more(there: Exchangers, newer: str) -> None:
    there.inventory(OLD, postmask_mx_wheel=newer)
    with during(there) as sent:
        timed(there, "add_mx.yml", "-e", f"mx={THIRD}")
    told(there, "add_mx.yml", sent)
    there.lab.publish()
    there.send("by the third", f"third@{SENDER}", by=THIRD)
    assert agreed(there, Sent({"by the third": f"third@{SENDER}"})) == {THIRD: 1}
    assert set(timed(there, "site.yml").changed.values()) == {0}


def test_move(there: Exchangers, newer: str) -> None:
    """All nodes are told of the new database, and do without the old one."""
    there.inventory(NEW, postmask_mx_wheel=newer)
    with during(there) as sent:
        timed(there, "move_db.yml")
    told(there, "move_db.yml", sent)
    with there.lab.world.wire.unplugged(OLD):
        sent = Sent({f"moved, by {name}": f"moved@{SENDER}" for name in NAMES})
        for name, (subject, sender) in zip(NAMES, sent.senders.items(), strict=True):
            there.send(subject, sender, by=name)
        assert agreed(there, sent) == dict.fromkeys(NAMES, 1)
        for name in NAMES:
            there.await_answer(name, "nobody@alias.test", 550)
        assert set(timed(there, "site.yml").changed.values()) == {0}


@contextlib.contextmanager
def during(there: Exchangers) -> Iterator[Sent]:
    """Mail for the time of the block, and before and after it."""
    with there.load() as sent:
        there.await_arrived(sent, 30)
        yield sent
        there.await_arrived(sent, len(sent.senders) + 30)


def told(there: Exchangers, what: str, sent: Sent) -> Counter[str]:
    """How many messages each node forwarded, of those that were sent meanwhile; says so."""
    by = agreed(there, sent)
    print(f"{what}: {len(sent.senders)} messages, by {dict(by)}; {there.put_off(sent)} put off for a while")
    return by
