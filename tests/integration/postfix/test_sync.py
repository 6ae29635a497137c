"""Domains told to a running Postfix."""

import contextlib
import shutil
import subprocess
import time

import pytest

from postmask.daemon import connect_unix
from postmask_postfix import commands, generation, sync
from postmask_postfix.attachment import change, plan
from postmask_postfix.commands import PostfixError
from postmask_postfix.sync import HostsOwn, NotAttached, SyncError, attached, sync_domains


def comes_in(running, recipient):
    """Whether Postfix takes this recipient's domain for ours: asked on a fresh connection from outside."""
    with running.client() as session:
        session.mail("bob@example.com")
        return session.rcpt(recipient)[0] == 451


def main_cf(running):
    return (running.postfix / "main.cf").read_text()


def test_a_domain_is_ours_from_the_moment_the_call_returns(bare):
    for number in range(5):
        name = f"d{number}.test"
        assert sync_domains(bare.postfix, ["alias.test", name])
        assert comes_in(bare, f"x@{name}")
        assert not comes_in(bare, f"x@d{number - 1}.test")
    sync_domains(bare.postfix, ["alias.test"])


def test_the_same_domains_again_change_nothing(bare):
    sync_domains(bare.postfix, ["alias.test"])
    before = main_cf(bare)
    assert not sync_domains(bare.postfix, ["alias.test"])
    assert main_cf(bare) == before


def test_no_domain_at_all(bare):
    sync_domains(bare.postfix, [])
    assert not comes_in(bare, "x@alias.test")
    sync_domains(bare.postfix, ["alias.test"])
    assert comes_in(bare, "x@alias.test")


def test_settings_that_were_rendered_know_of_no_domain_yet(bare):
    main = bare.postfix / "main.cf"
    change.replace(main, plan.told(main.read_text(), {}))
    commands.reload(bare.postfix)
    assert "postmask_domains =" not in main_cf(bare)
    assert attached(bare.postfix)
    assert sync_domains(bare.postfix, ["alias.test"])
    assert comes_in(bare, "x@alias.test")


def test_more_domains_than_one_argument_can_hold(bare):
    names = [f"customer-number-{number:05d}.alias-domains.example" for number in range(3000)]
    assert sync_domains(bare.postfix, [*names, "alias.test"])
    assert "postmask_domains_3 = " in main_cf(bare)
    assert comes_in(bare, f"x@{names[0]}")
    assert comes_in(bare, f"x@{names[-1]}")
    sync_domains(bare.postfix, ["alias.test"])
    assert "postmask_domains_1" not in main_cf(bare)
    bare.wait_for(lambda: not comes_in(bare, f"x@{names[0]}"), "the end of smtpd processes that knew it")


def test_nothing_else_in_main_cf_is_touched(bare):
    def others():
        return [
            line
            for line in main_cf(bare).splitlines()
            if not line.startswith(("postmask_domains", "postmask_gen"))
        ]

    before = others()
    sync_domains(bare.postfix, ["alias.test", "other.test"])
    sync_domains(bare.postfix, ["alias.test"])
    assert others() == before


def test_main_cf_keeps_owner_and_mode_and_may_be_a_link(bare, tmp_path):
    main = bare.postfix / "main.cf"
    kept = tmp_path / "main.cf"
    shutil.copy(main, kept)
    kept.chmod(0o640)
    shutil.chown(kept, "root", "mail")
    main.unlink()
    main.symlink_to(kept)
    try:
        sync_domains(bare.postfix, ["alias.test", "linked.test"])
        assert main.is_symlink()
        assert (kept.stat().st_mode & 0o777, kept.group()) == (0o640, "mail")
        assert r"linked\.test" in kept.read_text()
    finally:
        main.unlink()
        shutil.copy(kept, main)


def test_a_name_that_is_no_domain_changes_nothing(bare):
    before = main_cf(bare)
    with pytest.raises(ValueError, match="domain name"):
        sync_domains(bare.postfix, ["alias.test", "a.test)$/ discard:} {/."])
    assert main_cf(bare) == before


def test_kept_connections_are_in_nobody_s_way(bare):
    """The forwarder may keep up to a hundred (reinject.connections)."""
    with contextlib.ExitStack() as ends:
        for _ in range(21):
            kept = ends.enter_context(
                connect_unix(bare.postfix.parent / "queue/public/postmask-reinject", 30.0)
            )
            assert kept.recv(1024).startswith(b"220 ")
        sync_domains(bare.postfix, ["alias.test", "kept.test"])
        assert comes_in(bare, "x@kept.test")


def test_a_value_that_does_not_match_as_it_should_is_never_written(bare, monkeypatch):
    before = main_cf(bare)
    monkeypatch.setattr(sync, "alternations", lambda names: (r"alias\.test|(",))
    with pytest.raises(SyncError):
        sync_domains(bare.postfix, ["alias.test"])
    monkeypatch.setattr(sync, "alternations", lambda names: (r".*",))
    with pytest.raises(SyncError, match=r"foreign\.invalid"):
        sync_domains(bare.postfix, ["alias.test"])
    assert main_cf(bare) == before


def test_values_that_postfix_does_not_take_up_are_put_back(bare, monkeypatch):
    monkeypatch.setattr(generation, "greeting", lambda queue: [])
    with pytest.raises(PostfixError, match="take up"):
        sync_domains(bare.postfix, ["alias.test", "late.test"], patience=0.5)
    monkeypatch.undo()
    assert r"late\.test" not in main_cf(bare)
    bare.wait_for(lambda: not comes_in(bare, "x@late.test"), "the old domains")
    assert comes_in(bare, "x@alias.test")


def test_a_call_that_died_before_the_reload_is_made_good_by_the_next(bare):
    settings = sync.present_settings(bare.postfix) | {"postmask_domains": r"alias\.test|late\.test"}
    sync._write(bare.postfix, settings | {"postmask_generation": "x"})
    assert sync_domains(bare.postfix, ["alias.test"])
    assert comes_in(bare, "x@alias.test")
    assert not comes_in(bare, "x@late.test")


def test_and_by_the_same_call_given_again(bare):
    wanted = sync.wanted_on(bare.postfix, ["alias.test", "again.test"])
    sync._write(bare.postfix, wanted)
    assert not comes_in(bare, "x@again.test")
    assert sync_domains(bare.postfix, ["alias.test", "again.test"])
    assert comes_in(bare, "x@again.test")


def test_a_stopped_postfix_gets_the_domains_for_its_next_start(bare, tmp_path):
    shutil.copytree(bare.postfix, tmp_path / "etc")
    moved = [f"queue_directory = {tmp_path}", f"data_directory = {tmp_path}"]
    subprocess.run(["postconf", "-c", tmp_path / "etc", "-e", *moved], check=True)
    assert sync_domains(tmp_path / "etc", ["alias.test", "stopped.test"])
    assert r"stopped\.test" in (tmp_path / "etc" / "main.cf").read_text()


def test_a_postfix_that_postmask_is_not_attached_to(tmp_path):
    (tmp_path / "main.cf").write_text("compatibility_level = 3.6\n")
    (tmp_path / "master.cf").write_text("")
    assert not attached(tmp_path)
    with pytest.raises(NotAttached):
        sync_domains(tmp_path, ["alias.test"])


def test_a_domain_of_the_host_s_own_stays_so_and_the_others_are_told(bare):
    """Another node, where it was added, doesn't know that this one has mailboxes in it."""
    own = ["postconf", "-c", bare.postfix, "-e", "mydestination = mailboxes.test"]
    subprocess.run(own, check=True)
    with pytest.raises(HostsOwn, match=r"mailboxes\.test .*mydestination"):
        sync_domains(bare.postfix, ["alias.test", "fresh.test", "mailboxes.test"])
    assert comes_in(bare, "x@fresh.test")
    assert not comes_in(bare, "x@mailboxes.test")
    # One that is ours already stays ours, whatever the site writes.
    subprocess.run([*own[:-1], "mydestination = mailboxes.test, fresh.test"], check=True)
    sync_domains(bare.postfix, ["alias.test", "fresh.test"])
    assert comes_in(bare, "x@fresh.test")
    subprocess.run([*own[:-1], "mydestination ="], check=True)


def test_a_missing_folder(tmp_path):
    with pytest.raises(PostfixError, match="No such file"):
        sync_domains(tmp_path / "none", [])


def test_postfix_need_not_wait_for_a_file_to_cool_down(bare):
    """Its programs pause at start until main.cf is two seconds old: so it is written with an older date."""
    sync_domains(bare.postfix, ["alias.test", "quick.test"])
    assert time.time() - (bare.postfix / "main.cf").stat().st_mtime > 2.0
