"""What is to be done, from what there is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from postmask.config import read
from postmask_postfix.system import plan
from postmask_postfix.system.host import UNITS, Account, Found, Group, Host, Systemd
from postmask_postfix.system.wanted import Postfix, Wanted, wanted

POSTFIX = Postfix("postfix", "postfix", "postdrop", "/var/spool/postfix")
FRESH = Host(
    users={"root": Account(0, 0, False), "postfix": Account(101, 106, False)},
    groups={
        "root": Group(0, frozenset()),
        "postfix": Group(106, frozenset()),
        "postdrop": Group(107, frozenset()),
    },
    found={},
    client=None,
    systemd=Systemd.RUNNING,
)


def of(text: str = "") -> Wanted:
    settings = read(text, Path("/etc/postmask/postmask.toml"), {})
    return wanted(settings, Path("/var/lib/postmask/postmask.db"), Path("/opt/postmask/bin"), POSTFIX)


WANTED = of()
STARTED = [name for name, text in WANTED.units.items() if "[Install]" in text]


def installed(wanted: Wanted = WANTED) -> Host:
    """Where everything is as it is to be."""
    members = frozenset({"postmask"})
    found = {folder.path: Found(folder.owner, folder.group, folder.mode) for folder in wanted.folders}
    found[wanted.config] = Found("root", "postmask", 0o640)
    found[wanted.keys] = Found("root", "root", 0o600)
    found[Path("/var/lib/postmask/postmask.db")] = Found("postmask", "postmask", 0o660)
    found |= {UNITS / name: Found("root", "root", 0o644, text) for name, text in wanted.units.items()}
    return Host(
        users={**FRESH.users, "postmask": Account(999, 999, True), "postmask-pipe": Account(998, 998, True)},
        groups={
            "postfix": Group(106, members),
            "postdrop": Group(107, members),
            "postmask": Group(999, frozenset()),
            "postmask-pipe": Group(998, frozenset()),
        },
        found=found,
        client=True,
        systemd=Systemd.RUNNING,
        enabled=frozenset(STARTED),
        active=frozenset(STARTED),
    )


def install(host: Host, wanted: Wanted = WANTED) -> list[str]:
    return [action.text for action in plan.install(wanted, host, "")]


def remove(host: Host, wanted: Wanted = WANTED, *, purge: bool = False) -> list[str]:
    return [action.text for action in plan.remove(wanted, host, purge=purge)]


def without(host: Host, *paths: Path) -> Host:
    return dataclasses.replace(host, found={path: f for path, f in host.found.items() if path not in paths})


def test_users_come_before_what_is_given_to_them_and_programs_last() -> None:
    steps = install(FRESH)
    assert [step.split()[0] for step in steps[:2]] == ["useradd", "useradd"]
    assert steps[-3:] == [
        "systemctl daemon-reload",
        f"systemctl enable {' '.join(STARTED)}",
        f"systemctl start {' '.join(STARTED)}",
    ]


def test_nothing_is_done_twice() -> None:
    assert install(installed()) == []


def test_a_group_that_is_there_already_is_used() -> None:
    host = dataclasses.replace(FRESH, groups={**FRESH.groups, "postmask": Group(50, frozenset())})
    first, second, *_ = install(host)
    assert "--gid postmask --groups postfix,postdrop" in first
    assert "--user-group" in second


def test_a_user_who_lacks_a_group_gets_it() -> None:
    host = installed()
    lacking = dataclasses.replace(host, groups={**host.groups, "postdrop": Group(107, frozenset({"other"}))})
    assert install(lacking) == ["usermod --append --groups postdrop postmask"]


def test_an_older_unit_is_replaced_while_the_programs_stand_still() -> None:
    host = installed()
    old = Found("root", "root", 0o644, "[Service]\n")
    path = UNITS / "postmask-agent.service"
    assert install(dataclasses.replace(host, found={**host.found, path: old})) == [
        f"systemctl stop {' '.join(STARTED)}",
        "write /etc/systemd/system/postmask-agent.service (root:root 0644)",
        "systemctl daemon-reload",
        f"systemctl start {' '.join(STARTED)}",
    ]


def test_what_was_stopped_is_started() -> None:
    host = dataclasses.replace(installed(), active=frozenset(STARTED[1:]))
    assert install(host) == [f"systemctl start {' '.join(STARTED)}"]


def test_where_the_folder_of_sockets_is_gone_all_that_listened_there_is_started_anew() -> None:
    done = install(without(installed(), WANTED.sockets, WANTED.sockets / "pipe"))
    assert [line.split()[:2] for line in done] == [
        ["folder", str(WANTED.sockets)],
        ["folder", str(WANTED.sockets / "pipe")],
        ["systemctl", "stop"],
        ["systemctl", "start"],
    ]
    assert done[-2].split()[2:] == done[-1].split()[2:] == STARTED


def test_no_systemd_is_asked_that_does_not_run() -> None:
    idle = dataclasses.replace(FRESH, systemd=Systemd.IDLE)
    assert [step for step in install(idle) if "systemctl" in step] == [
        f"systemctl enable {' '.join(STARTED)}"
    ]
    none = dataclasses.replace(FRESH, systemd=Systemd.NONE)
    assert not [step for step in install(none) if "system" in step.split()[0] or "/systemd/" in step]
    assert "new master secret in /etc/postmask/keys (root:postmask 0640)" in install(none)


def test_an_older_client_is_replaced() -> None:
    assert install(dataclasses.replace(installed(), client=False)) == [
        "pipe client into /usr/local/lib/postmask"
    ]


def test_a_missing_secret_is_made_and_a_database_too() -> None:
    lost = without(installed(), WANTED.keys, Path("/var/lib/postmask/postmask.db"))
    assert install(lost) == [
        "new master secret in /etc/postmask/keys (root:root 0600)",
        "new database /var/lib/postmask/postmask.db (postmask:postmask 0660)",
    ]


def test_a_file_of_secrets_that_somebody_looks_after_is_left_alone() -> None:
    host = installed()
    theirs = Found("postmask", "postmask", 0o400)
    assert install(dataclasses.replace(host, found={**host.found, WANTED.keys: theirs})) == []


@pytest.mark.parametrize("folder", ["/srv/mail", "/srv/postmask-and-more"])
def test_folders_that_are_shared_keep_their_owner(folder: str) -> None:
    shared = of(f'[spool]\npath = "{folder}/spool.db"\n')
    host = installed(shared)
    site = {**host.found, Path(folder): Found("root", "root", 0o755)}
    assert install(dataclasses.replace(host, found=site), shared) == []
    assert f"remove {folder}" not in remove(host, shared, purge=True)


def test_a_folder_of_sockets_that_is_shared_stays() -> None:
    shared = of('[sockets]\ndirectory = "/srv/sockets"\n')
    assert not [step for step in remove(installed(shared), shared, purge=True) if "/srv/sockets" in step]


def test_removed_in_the_order_in_which_nothing_fails() -> None:
    steps = remove(installed())
    assert steps[:2] == [f"systemctl stop {' '.join(STARTED)}", f"systemctl disable {' '.join(STARTED)}"]
    assert steps[-2:] == ["userdel postmask", "userdel postmask-pipe"]
    assert steps.index("systemctl daemon-reload") > steps.index(
        "remove /etc/systemd/system/postmask-gate.socket"
    )
    assert "folder /var/lib/postmask (root:root 0700)" in steps
    assert not [step for step in steps if step.startswith(("remove /var/lib", "remove /etc/post"))]


def test_purged_goes_all_but_what_is_shared() -> None:
    steps = remove(installed(), purge=True)
    assert "remove /etc/postmask" in steps
    assert "remove /var/lib/postmask" in steps
    assert not [step for step in steps if step.startswith(("folder", "restrict"))]
    assert plan.left(WANTED, installed(), purge=True) == []


def test_what_is_not_purged_from_a_shared_folder_is_for_root_alone() -> None:
    """The number of the group may become somebody else's."""
    settings = read('[keys]\nfile = "/etc/mail/keys"\n', Path("/etc/mail/postmask.toml"), {})
    shared = wanted(settings, None, Path("/opt/postmask/bin"), POSTFIX)
    host = installed(shared)
    host = dataclasses.replace(host, found={**host.found, shared.keys: Found("root", "postmask", 0o640)})
    steps = remove(host, shared, purge=True)
    kept = [shared.config, shared.keys]
    assert [step for step in steps if "/etc/mail" in step] == [
        f"restrict {path} (root:root 0600)" for path in kept
    ]
    assert plan.left(shared, host, purge=True) == [Path("/etc/mail")]


def test_a_user_who_was_there_before_stays() -> None:
    host = installed()
    theirs = dataclasses.replace(host, users={**host.users, "postmask-pipe": Account(998, 998, False)})
    assert "userdel postmask-pipe" not in remove(theirs)


def test_from_a_fresh_host_nothing_is_removed() -> None:
    assert remove(FRESH) == []
