"""`postmask system` on the tree of a host, with the real useradd and systemctl."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from postmask.clock import SystemClock
from postmask.keys import load
from postmask.store import schema
from postmask_postfix.system.actions import Action, Make, NewKeys, Restrict, Run
from postmask_postfix.system.host import HostError
from postmask_postfix.system.perform import perform
from system_tree import PROGRAMS, Tree, plant

UNITS = "etc/systemd/system"
STARTED = {
    "multi-user.target.wants/postmask-agent.service",
    "multi-user.target.wants/postmask-forwarder.service",
    "multi-user.target.wants/postmask-milter-alias.service",
    "multi-user.target.wants/postmask-milter-scan.service",
    "paths.target.wants/postmask-postfix-sync.path",
    "sockets.target.wants/postmask-forwarder.socket",
    "sockets.target.wants/postmask-gate.socket",
    "timers.target.wants/postmask-held-expire.timer",
}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    root = tmp_path / "host"
    root.mkdir()
    return plant(root)


def test_everything_is_made_and_nothing_twice(tree: Tree) -> None:
    before = (tree.listing(), tree.content())
    planned = tree.install("--dry-run")
    assert (tree.listing(), tree.content()) == before
    assert tree.install() == planned
    made = tree.listing()
    assert (
        made.items()
        >= {
            "etc/postmask": "root:postmask 0750",
            "etc/postmask/postmask.toml": "root:postmask 0640",
            "etc/postmask/keys": "root:root 0600",
            "var/lib/postmask": "postmask:postmask 0750",
            "var/lib/postmask/postmask.db": "postmask:postmask 0660",
            "var/spool/postfix/postmask": "postmask:postmask 0711",
            "var/spool/postfix/postmask/pipe": "postmask-pipe:postmask 0775",
            "usr/local/lib/postmask/postmask_pipe.py": "root:root 0644",
            f"{UNITS}/postmask-agent.service": "root:root 0644",
        }.items()
    )
    assert {path.removeprefix(f"{UNITS}/") for path in made if ".wants/" in path} == STARTED
    assert tree.groups("postmask") == {"postfix", "postdrop"}
    assert tree.groups("postmask-pipe") == set()
    assert len(load(tree.root / "etc/postmask/keys").secrets) == 1
    assert schema.status(f"sqlite:///{tree.root}/var/lib/postmask/postmask.db").state == "current"
    assert (
        f"ExecStart={PROGRAMS}/postmask-agent " in (tree.root / UNITS / "postmask-agent.service").read_text()
    )
    after = tree.content()
    assert tree.install() == []
    assert (tree.listing(), tree.content()) == (made, after)


def test_removed_leaves_what_was_kept_for_root_alone(tree: Tree) -> None:
    hosts_own = tree.users()
    tree.install()
    kept = {
        name: text
        for name, text in tree.content().items()
        if "postmask/" in name and "lib/postmask/p" in name
    }
    assert kept
    (tree.root / "var/spool/postfix/postmask/gate.sock").touch()
    planned = tree.remove("--dry-run")
    assert tree.remove() == planned
    left = {path: access for path, access in tree.listing().items() if "postmask" in path}
    assert left.pop("var/lib/postmask/postmask.db").endswith("0660")  # in a folder that is closed
    assert left == {
        "etc/postmask": "root:root 0700",
        "etc/postmask/keys": "root:root 0600",
        "etc/postmask/postmask.toml": "root:root 0600",
        "opt/postmask": "root:root 0755",
        "opt/postmask/bin": "root:root 0755",
        "opt/postmask/bin/postmask-agent": tree.access("opt/postmask/bin/postmask-agent"),
        "var/lib/postmask": "root:root 0700",
    }
    assert tree.users() == hosts_own
    assert tree.remove() == []


def test_what_was_kept_is_taken_up_again(tree: Tree) -> None:
    """Even when the users' numbers have become somebody else's; not what a link there leads to."""
    tree.install()
    (tree.root / "var/lib/postmask/directory").mkdir()
    (tree.root / "var/lib/postmask/directory/directory.1.db").touch()
    (tree.root / "var/lib/postmask/directory/link").symlink_to(tree.root / "etc/shadow")
    before = tree.access("etc/shadow")
    kept = {
        name: text for name, text in tree.content().items() if name.startswith(("etc/postmask", "var/lib"))
    }
    tree.remove()
    with (tree.root / "etc/passwd").open("a") as users:
        users.write("other:x:999:999::/:/bin/sh\nanother:x:998:998::/:/bin/sh\n")
    with (tree.root / "etc/group").open("a") as groups:
        groups.write("other:x:999:\nanother:x:998:\n")
    tree.install()
    assert tree.access("etc/postmask/postmask.toml") == "root:postmask 0640"
    assert tree.access("var/lib/postmask/postmask.db") == "postmask:postmask 0660"
    for name in ("directory", "directory/directory.1.db", "directory/link"):
        assert tree.access(f"var/lib/postmask/{name}").startswith("postmask:postmask"), name
    assert tree.access("etc/shadow") == before
    assert tree.content().items() >= kept.items()


def test_purged_nothing_of_ours_is_left(tree: Tree) -> None:
    own = {name: text for name, text in tree.content().items() if not name.endswith("-")}
    tree.install()
    tree.remove("--purge")
    assert {name: text for name, text in tree.content().items() if not name.endswith("-")} == own


def test_a_step_that_failed_is_made_good_by_the_next_call(tree: Tree) -> None:
    (tree.root / UNITS).parent.mkdir(parents=True, exist_ok=True)
    (tree.root / UNITS).touch()  # where a folder ought to be
    failed = tree.run("install", "--programs", PROGRAMS)
    assert failed.exit_code == os.EX_UNAVAILABLE
    assert "write /etc/systemd/system/postmask-agent.service" in failed.stderr
    assert failed.stdout.startswith("useradd ")
    assert failed.stdout.endswith("pipe client into /usr/local/lib/postmask\n")
    key = (tree.root / "etc/postmask/keys").read_bytes()
    (tree.root / UNITS).unlink()
    (tree.root / UNITS).mkdir()
    (tree.root / UNITS / ".postmask-agent.service.new").touch()  # a draft of one that was killed
    assert tree.install()[0].startswith("write /etc/systemd/system/")
    assert (tree.root / "etc/postmask/keys").read_bytes() == key


@pytest.mark.parametrize(
    ("command", "rooted", "seconds", "told"),
    [
        (("systemctl", "enable", "lacking.service"), "--root", 120, "systemctl --root .* failed: .*lacking"),
        (("postmask-lacking",), "--root", 120, "postmask-lacking isn't installed"),
        (("tail", "-f", "/dev/null"), "-q", 0.5, "tail did not end within 0.5 seconds"),
    ],
)
def test_what_fails_of_other_programs_is_told(
    tree: Tree,
    monkeypatch: pytest.MonkeyPatch,
    command: tuple[str, ...],
    rooted: str,
    seconds: float,
    told: str,
) -> None:
    monkeypatch.setattr("postmask_postfix.system.perform._SECONDS", seconds)
    with pytest.raises(HostError, match=told):
        perform(tree.root, [Run(command, rooted)], SystemClock(), lambda _: None)


def test_without_systemd_the_group_reads_the_secrets_and_the_rest_is_done(tree: Tree) -> None:
    (tree.root / "usr/lib/systemd/systemd").unlink()
    done = tree.run("install", "--programs", PROGRAMS)
    assert done.exit_code == 0
    assert "there is no systemd here" in done.stdout
    assert "back up /etc/postmask/keys, apart from the database" in done.stdout
    assert f"{PROGRAMS}/postmask-forwarder --config /etc/postmask/postmask.toml" in done.stdout
    assert tree.access("etc/postmask/keys") == "root:postmask 0640"
    assert not (tree.root / UNITS).exists()
    assert tree.install() == []
    (tree.root / "usr/lib/systemd/systemd").touch()
    assert "restrict /etc/postmask/keys (root:root 0600)" in tree.install()


def test_users_and_folders_of_the_site_are_not_ours(tree: Tree) -> None:
    config = tree.root / "etc/postmask/postmask.toml"
    config.parent.mkdir()
    config.write_text('[postfix]\npipe_user = "nobody"\n[spool]\npath = "/srv/mail/spool.db"\n')
    (tree.root / "srv/mail").mkdir(parents=True)
    with (tree.root / "etc/passwd").open("a") as users:
        users.write("nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n")
    site = tree.access("srv/mail")
    text = config.read_text()
    steps = tree.install()
    assert not [step for step in steps if "/srv/mail" in step and not step.startswith("useradd")]
    assert config.read_text() == text
    assert tree.access("srv/mail") == site
    tree.remove("--purge")
    assert (tree.root / "srv/mail").is_dir()
    assert "nobody" in tree.users()
    assert "postmask" not in tree.users()


def test_another_queue_directory_and_user(tree: Tree) -> None:
    (tree.root / "etc/postfix/main.cf").write_text("queue_directory = /srv/queue\nmail_owner = mailer\n")
    with (tree.root / "etc/passwd").open("a") as users:
        users.write("mailer:x:201:106::/:/usr/sbin/nologin\n")
    tree.install()
    text = (tree.root / "etc/postmask/postmask.toml").read_text()
    assert 'mail_owner = "mailer"' in text
    assert 'directory = "/srv/queue/postmask"' in text
    assert 'socket = "/srv/queue/public/postmask-reinject"' in text
    assert 'hold_socket = "/srv/queue/public/postmask-hold"' in text
    assert tree.access("srv/queue/postmask/pipe") == "postmask-pipe:postmask 0775"
    assert (
        "ListenStream=/srv/queue/postmask/gate.sock"
        in (tree.root / UNITS / "postmask-gate.socket").read_text()
    )
    assert tree.install() == []


def test_a_configuration_that_is_a_link_is_the_sites(tree: Tree) -> None:
    kept = tree.root / "srv/postmask.toml"
    kept.parent.mkdir()
    kept.write_text('[node]\nname = "mx.host.test"\n')
    kept.chmod(0o644)
    config = tree.root / "etc/postmask/postmask.toml"
    config.parent.mkdir()
    config.symlink_to("../../srv/postmask.toml")
    assert not [step for step in tree.install() if "postmask.toml" in step]
    assert tree.install() == []
    assert (config.is_symlink(), tree.access("srv/postmask.toml")) == (True, "root:root 0644")


def test_a_link_where_a_folder_of_ours_ought_to_be_is_not_followed(tree: Tree) -> None:
    """A program that was taken over could put one there."""
    tree.install()
    stamps = tree.root / "var/spool/postfix/postmask/pipe"
    stamps.rmdir()
    stamps.symlink_to(tree.root / "etc/postfix")
    before = tree.access("etc/postfix")
    refused = tree.run("install", "--programs", PROGRAMS)
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert "/var/spool/postfix/postmask/pipe is no folder" in refused.stderr
    assert tree.access("etc/postfix") == before


@pytest.mark.parametrize(
    "action",
    [
        Make(Path("/srv/link"), "postfix", "postfix", 0o755),
        Restrict(Path("/srv/link"), "postfix", 0o644),
        NewKeys(Path("/srv/link"), "postfix", 0o644),
    ],
    ids=lambda action: type(action).__name__,
)
def test_what_became_a_link_after_it_was_looked_at_is_not_followed(tree: Tree, action: Action) -> None:
    target = tree.root / "etc/postfix" if isinstance(action, Make) else tree.root / "etc/shadow"
    (tree.root / "srv").mkdir()
    (tree.root / "srv/link").symlink_to(target)
    before = (tree.listing(), tree.content())
    with pytest.raises(HostError, match="/srv/link"):
        perform(tree.root, [action], SystemClock(), lambda _: None)
    assert (tree.listing(), tree.content()) == before


def test_attached_it_is_not_removed(tree: Tree) -> None:
    tree.install()
    with (tree.root / "etc/postfix/main.cf").open("a") as main_cf:
        main_cf.write(
            "postmask_domains = alias\\.test\nrelay_domains = regexp:{{/@($postmask_domains)$$/ 1}}\n"
        )
    before = tree.content()
    refused = tree.run("remove")
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert "postmask postfix detach" in refused.stderr
    assert "first run postmask postfix detach" in tree.run("remove", "--dry-run").stdout
    assert tree.content() == before


@pytest.mark.parametrize(
    "lost", ["etc/postmask/postmask.toml", "etc/postmask/keys", "var/lib/postmask/postmask.db"]
)
def test_what_was_lost_is_not_made_anew_while_mail_comes_in(tree: Tree, lost: str) -> None:
    tree.install()
    (tree.root / lost).unlink()
    with (tree.root / "etc/postfix/main.cf").open("a") as main_cf:
        main_cf.write("postmask_domains = alias\\.test\n")
    refused = tree.run("install", "--programs", PROGRAMS)
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert f"/{lost}: not there" in refused.stderr
    (tree.root / "etc/postfix/main.cf").write_text("postmask_domains = .^\n")
    assert not (tree.root / lost).exists()
    assert len(tree.install()) == 1


def test_a_host_without_postfix_is_refused(tree: Tree) -> None:
    (tree.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (tree.root / "etc/postfix/main.cf").unlink()
    refused = tree.run("install", "--programs", PROGRAMS)
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert "Postfix isn't installed here" in refused.stderr


def test_programs_that_are_not_there_are_refused(tree: Tree) -> None:
    refused = tree.run("install", "--programs", "/opt/other/bin")
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert "/opt/other/bin/postmask-agent" in refused.stderr
    (tree.root / "opt/postmask").chmod(0o700)
    refused = tree.run("install", "--programs", PROGRAMS)
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert "chmod o+x" in refused.stderr


@pytest.mark.parametrize("verb", ["install", "remove"])
def test_without_root(tree: Tree, verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    refused = tree.run(verb, "--dry-run")
    assert refused.exit_code == os.EX_NOPERM
    assert "run this as root" in refused.stderr


def test_a_folder_that_is_no_host_is_refused(tmp_path: Path) -> None:
    refused = Tree(tmp_path / "nothing").run("install", "--programs", PROGRAMS)
    assert refused.exit_code == os.EX_UNAVAILABLE
    assert "isn't the root folder of a host" in refused.stderr
