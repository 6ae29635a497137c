"""Attaching to a real Postfix and detaching: what stands in the way, what goes wrong, what was changed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import sites
from ports import free_port
from postmask_postfix import commands, render, sync
from postmask_postfix.attachment import attach as attaching
from postmask_postfix.attachment import change, collisions, journal
from postmask_postfix.attachment.attach import ListenerError, Request, attach, preview
from postmask_postfix.attachment.collisions import Collision
from postmask_postfix.attachment.detach import Standing, detach, status
from postmask_postfix.attachment.site import read
from postmask_postfix.commands import PostfixError
from postmask_postfix.doctor import reading
from postmask_postfix.settings import SettingsContext
from sites import Site

CONTEXT = SettingsContext(door="pipe", pipe_argv=render.pipe_argv("/usr/lib/postmask"), pipe_user="nobody")


@pytest.fixture(scope="module")
def host() -> Iterator[Site]:
    """A host with several listeners; our programs do nothing. Each test leaves it detached."""
    with sites.running("submission", idle=True) as site:
        yield site


@pytest.fixture
def site(host: Site) -> Iterator[Site]:
    before = host.hashes()
    yield host
    detach(host.postfix)
    assert host.hashes() == before
    assert not (host.postfix / journal.NAME).exists()


def request(site: Site, *domains: str, **options: object) -> Request:
    return Request(
        site.postfix, CONTEXT, site.instance.queue / "postmask", domains or ("alias.test",), **options
    )  # type: ignore[arg-type]


def parameter(site: Site, name: str) -> str:
    return site.postconf("-h", name).strip()


def set_parameter(site: Site, line: str) -> None:
    site.postconf("-e", line)


def rcpt(site: Site, *recipients: str) -> list[int]:
    """How a client from outside is answered."""
    with site.session("SMTP") as session:
        session.mail("bob@example.com")
        return [session.rcpt(recipient)[0] for recipient in recipients]


class TestAttached:
    """What it is like then."""

    def test_each_listener_has_the_gate(self, site: Site) -> None:
        attach(request(site))
        with site.session("SMTP", inside=True) as session:
            session.mail("")
            code, text = session.rcpt("x@alias.test")
        assert (code, text.endswith(b"try again later")) == (451, True)
        for listener in ("SUBMISSION", "SMTPS"):
            with site.session(listener, inside=True) as session:
                session.mail("")
                assert session.rcpt("x@alias.test")[0] in (451, 554), listener

    def test_no_command_of_postfix_s_says_a_word(self, site: Site) -> None:
        attach(request(site))
        for command in (["postconf", "-c", site.postfix, "-n"], ["postconf", "-c", site.postfix, "-M"]):
            assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == ""

    def test_the_preview_is_what_is_done(self, site: Site) -> None:
        before = change.read(site.postfix)
        told = preview(request(site))
        attach(request(site))
        assert attaching.unified(site.postfix, before, change.read(site.postfix)) == told
        assert preview(request(site)) == ""

    def test_another_set_of_domains(self, site: Site) -> None:
        attach(request(site))
        assert sync.sync_domains(site.postfix, ["alias.test", "other.test"])
        assert status(site.postfix).standing is Standing.ATTACHED
        assert not attach(request(site, "alias.test", "other.test")).changed
        assert attach(request(site)).changed

    def test_what_lies_below_is_refused_unless_it_is_the_host_s(self, site: Site) -> None:
        """The gate isn't there: who is asked of it gets 451."""
        before = change.read(site.postfix)
        set_parameter(site, "virtual_alias_domains = inline:{ own.alias.test=1 }, !not.alias.test")
        commands.reload(site.postfix)
        attach(request(site))
        asked = {"x@own.alias.test": 550, "x@deep.own.alias.test": 454, "x@sub.alias.test": 451}
        asked["x@late.alias.test"] = 451
        assert rcpt(site, *asked) == list(asked.values())
        set_parameter(site, "relay_domains = host.test, late.alias.test, $postmask_relay_domains")
        sync.sync_domains(site.postfix, ["alias.test"])
        assert rcpt(site, "x@late.alias.test", "x@sub.alias.test") == [250, 451]
        # Nobody can say what that table knows.
        set_parameter(site, "virtual_alias_domains = regexp:{ {/^other[.]alias[.]test$$/ 1} }")
        sync.sync_domains(site.postfix, ["alias.test"])
        assert parameter(site, "postmask_host_domains") == ".*"
        asked = {"x@alias.test": 451, "x@other.alias.test": 550, "x@sub.alias.test": 454}
        assert rcpt(site, *asked) == list(asked.values())
        detach(site.postfix)
        change.detach_files(site.postfix, before)
        commands.reload(site.postfix)

    def test_a_domain_that_the_host_relays_itself_is_told(self, site: Site) -> None:
        """As Mailman has it in a table of its own."""
        before = change.read(site.postfix)
        set_parameter(site, "relay_domains = host.test, inline:{ alias.test=alias.test }")
        commands.reload(site.postfix)
        try:
            for _ in range(2):
                notes = attach(request(site, "alias.test", "other.test")).notes
                assert [note.partition(" besides")[0] for note in notes] == ["relay_domains has alias.test"]
            found = reading.attachment(request(site, "alias.test", "other.test"))
            assert found.relayed == ("alias.test",)
        finally:
            detach(site.postfix)
            change.detach_files(site.postfix, before)
            commands.reload(site.postfix)

    def test_what_was_let_in_gets_out_again(self, site: Site) -> None:
        """The limit at re-injection is above this host's own."""
        before = change.read(site.postfix)
        set_parameter(site, "message_size_limit = 20000000")
        attach(request(site))
        for service in ("postmask-reinject", "postmask-hold", "postmask-cleanup"):
            assert "= 21048576" in site.postconf("-P", f"{service}/unix/message_size_limit")
        detach(site.postfix)
        change.detach_files(site.postfix, before)
        commands.reload(site.postfix)

    def test_another_door(self, site: Site) -> None:
        attach(request(site))
        assert attach(replace(request(site), context=replace(CONTEXT, door="lmtp"))).changed
        assert "postmask-lmtp:unix:postmask/" in parameter(site, "postmask_transport_maps")
        assert status(site.postfix).standing is Standing.ATTACHED

    def test_a_stopped_postfix(self, site: Site) -> None:
        site.instance.run("stop")
        try:
            assert "isn't running" in attach(request(site)).notes[0]
        finally:
            site.instance.run("start")

    def test_files_keep_owner_and_mode_and_may_be_links(self, site: Site, tmp_path: Path) -> None:
        main = site.postfix / "main.cf"
        kept = tmp_path / "main.cf"
        shutil.copy(main, kept)
        kept.chmod(0o640)
        main.unlink()
        main.symlink_to(kept)
        try:
            attach(request(site))
            assert main.is_symlink()
            assert kept.stat().st_mode & 0o777 == 0o640
            assert "postmask_gate" in kept.read_text()
        finally:
            detach(site.postfix)
            main.unlink()
            shutil.copy(kept, main)
            main.chmod(0o644)


class TestDrift:
    """Changed by hand since."""

    def test_a_hand_edit_is_told_and_stays(self, host: Site) -> None:
        original = change.read(host.postfix)
        attach(request(host))
        set_parameter(host, "biff = no")
        set_parameter(host, "postmask_time_limit = 10s")
        found = status(host.postfix)
        assert found.standing is Standing.DRIFTED
        assert {(one.setting, one.whose, one.left, one.now) for one in found.differences} == {
            ("biff", "site", None, "no"),
            ("postmask_time_limit", "Postmask", "60s", "10s"),
        }
        done = detach(host.postfix)
        assert not done.identical
        assert [one.setting for one in done.left] == ["biff"]
        assert change.read(host.postfix).main == original.main + "biff = no\n"
        set_parameter(host, "biff = yes")
        host.postconf("-X", "biff")
        assert change.read(host.postfix) == original

    def test_attaching_again_mends_ours_and_takes_the_rest_for_the_start(self, host: Site) -> None:
        original = change.read(host.postfix)
        attach(request(host))
        set_parameter(host, "biff = no")
        set_parameter(host, "postmask_time_limit = 10s")
        assert attach(request(host)).changed
        assert parameter(host, "postmask_time_limit") == "60s"
        assert status(host.postfix).standing is Standing.ATTACHED
        assert detach(host.postfix).identical
        assert change.read(host.postfix).main == original.main + "biff = no\n"
        host.postconf("-X", "biff")

    def test_without_its_record(self, site: Site) -> None:
        attach(request(site))
        (site.postfix / journal.NAME).unlink()
        found = status(site.postfix)
        assert (found.standing, found.recorded) == (Standing.ATTACHED, False)
        assert not attach(request(site)).changed
        assert status(site.postfix).recorded
        (site.postfix / journal.NAME).unlink()
        done = detach(site.postfix)
        assert (done.changed, done.identical, done.left) == (True, False, ())

    def test_detached(self, site: Site) -> None:
        assert status(site.postfix).standing is Standing.DETACHED
        assert not detach(site.postfix).changed

    def test_a_dry_run_of_detaching_only_tells(self, site: Site) -> None:
        attach(request(site))
        before, record = site.hashes(), (site.postfix / journal.NAME).read_bytes()
        told = detach(site.postfix, dry_run=True)
        assert told.changed
        assert told.identical
        assert "\n-postmask_gate = " in told.diff
        assert (site.hashes(), (site.postfix / journal.NAME).read_bytes()) == (before, record)
        assert rcpt(site, "x@alias.test") == [451]

    def test_a_dry_run_makes_nothing_good(self, site: Site) -> None:
        """What was interrupted is undone by who means it."""
        detached = change.read(site.postfix)
        attach(request(site))
        done = journal.read(site.postfix)
        assert done is not None
        journal.write(site.postfix, replace(done, state=journal.State.ATTACHING, before=detached))
        before = site.hashes()
        assert detach(site.postfix, dry_run=True).note is None
        assert site.hashes() == before
        assert detach(site.postfix).note == "an attempt to attach that was interrupted is undone"

    def test_files_that_were_put_back_by_hand(self, site: Site) -> None:
        """The record would be taken for that of the next attachment."""
        before = change.read(site.postfix)
        attach(request(site))
        change.detach_files(site.postfix, before)
        commands.reload(site.postfix)
        done = detach(site.postfix)
        assert (done.changed, done.identical, done.diff) == (True, True, "")
        assert status(site.postfix).standing is Standing.DETACHED

    def test_a_damaged_record_is_said(self, site: Site) -> None:
        attach(request(site))
        good = (site.postfix / journal.NAME).read_text()
        for bad in ("", "{}", good[:-20], json.dumps({"version": 9})):
            (site.postfix / journal.NAME).write_text(bad)
            with pytest.raises(PostfixError, match=journal.NAME):
                detach(site.postfix)
        (site.postfix / journal.NAME).write_text(good)


class TestCollisions:
    """What stands in the way; nothing is changed."""

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            ("mydestination = host.test, alias.test", "mydestination"),
            ("virtual_mailbox_domains = inline:{ alias.test=1 }", "virtual_mailbox_domains"),
            ("virtual_alias_domains = ALIAS.test", "virtual_alias_domains"),
            ("virtual_alias_maps = regexp:{ {/./ all@host.test} }", "virtual_alias_maps"),
            ("recipient_canonical_maps = inline:{ @alias.test=x@host.test }", "recipient_canonical_maps"),
            ("canonical_maps = texthash:/nonexistent", "/nonexistent"),
            ("transport_maps = texthash:/nonexistent", "/nonexistent"),
            ("postmask_gate = reject", "postmask_gate"),
        ],
    )
    def test_in_main_cf(self, site: Site, line: str, reason: str) -> None:
        before = change.read(site.postfix)
        set_parameter(site, line)
        try:
            with pytest.raises(PostfixError) as caught:
                attach(request(site))
            assert reason in "\n".join([str(caught.value), *getattr(caught.value, "details", ())])
            assert not (site.postfix / journal.NAME).exists()
        finally:
            change.detach_files(site.postfix, before)

    @pytest.mark.parametrize(
        ("domains", "classes", "stops"),
        [
            ("test", "envelope_sender, envelope_recipient", True),
            ("other.test, TEST", "envelope_recipient", True),
            ("test", "envelope_sender, header_sender, header_recipient", False),
            ("!alias.test test", "envelope_recipient", False),
            ("alias.test, test", "envelope_recipient", False),
            ("lias.test", "envelope_recipient", False),
        ],
    )
    def test_masquerading(self, site: Site, domains: str, classes: str, stops: bool) -> None:
        before = change.read(site.postfix)
        set_parameter(site, f"masquerade_domains = {domains}")
        set_parameter(site, f"masquerade_classes = {classes}")
        try:
            if stops:
                with pytest.raises(Collision) as caught:
                    attach(request(site))
                assert "masquerade_domains" in caught.value.details[0]
            else:
                assert attach(request(site)).changed
                detach(site.postfix)
        finally:
            change.detach_files(site.postfix, before)

    def test_a_service_of_our_name(self, site: Site) -> None:
        before = change.read(site.postfix)
        change.replace(site.postfix / "master.cf", before.master + "postmask unix - - n - - smtp\n")
        with pytest.raises(Collision) as caught:
            attach(request(site))
        assert "postmask/unix" in caught.value.details[0]
        change.detach_files(site.postfix, before)

    def test_sockets_that_a_chroot_hides(self, site: Site) -> None:
        away = replace(request(site), sockets=Path("/run/postmask"))
        assert attach(away).changed  # Nothing is chrooted.
        assert "unix:/run/postmask/gate.sock" in parameter(site, "postmask_gate")
        detach(site.postfix)
        before = change.read(site.postfix)
        change.replace(
            site.postfix / "master.cf",
            before.master.replace("inet n - n - - smtpd", "inet n - y - - smtpd", 1).replace(
                "lmtp       unix - - n", "lmtp       unix - - y"
            ),
        )
        with pytest.raises(Collision) as caught:
            attach(away)
        (detail,) = caught.value.details  # The site's lmtp(8) has nothing to do with them.
        assert "chroot" in detail
        change.detach_files(site.postfix, before)

    def test_an_old_postfix(self, site: Site) -> None:
        there = read(site.postfix)
        old = replace(there, values={**there.values, "mail_version": "3.6.4"})
        with pytest.raises(Collision) as caught:
            collisions.check(old, change.read(site.postfix), CONTEXT, ["alias.test"], recorded=False)
        assert "3.7" in caught.value.details[0]

    @pytest.mark.parametrize("version", ["3.7.11", "3.8.6", "3.10.13", "3.11-20250101", "4.0.0"])
    def test_newer_ones_are_fine(self, site: Site, version: str) -> None:
        there = read(site.postfix)
        newer = replace(there, values={**there.values, "mail_version": version})
        collisions.check(newer, change.read(site.postfix), CONTEXT, ["alias.test"], recorded=False)

    def test_no_user_for_the_client(self, site: Site) -> None:
        with pytest.raises(Collision) as caught:
            attach(replace(request(site), context=replace(CONTEXT, pipe_user="postmask-nobody")))
        assert "adduser" in caught.value.details[0]

    def test_no_postfix(self, tmp_path: Path) -> None:
        with pytest.raises(PostfixError):
            attach(Request(tmp_path, CONTEXT, tmp_path, ["alias.test"]))

    def test_what_somebody_else_changes_meanwhile(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        before, real = change.read(site.postfix), attaching.trial.check

        def edited(*arguments: object) -> None:
            real(*arguments)  # type: ignore[arg-type]  # as it is called
            set_parameter(site, "biff = no")

        monkeypatch.setattr(attaching.trial, "check", edited)
        try:
            with pytest.raises(PostfixError, match="meanwhile"):
                attach(request(site))
            assert parameter(site, "biff") == "no"
            assert not (site.postfix / journal.NAME).exists()
        finally:
            change.detach_files(site.postfix, before)


class TestPutBack:
    """Something is wrong after the reload."""

    @pytest.fixture
    def wrong(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> Site:
        """Settings of ours that `postfix check` passes and that smtpd dies of."""
        real = render.main_cf

        def deadly(*arguments: object) -> dict[str, str]:
            return {**real(*arguments), "postmask_gate": "check_policy_service"}  # type: ignore[arg-type]

        monkeypatch.setattr(render, "main_cf", deadly)
        return site

    def test_a_listener_that_dies(self, wrong: Site) -> None:
        before = wrong.hashes()
        with pytest.raises(ListenerError) as caught:
            attach(request(wrong, patience=2.0))
        assert any("SMTP" in one or "127.0.0.1:" in one for one in caught.value.details)
        assert wrong.hashes() == before
        assert not (wrong.postfix / journal.NAME).exists()
        with wrong.session("SMTP") as session:
            session.mail("bob@example.com")
            assert session.rcpt("me@host.test")[0] == 250

    def test_a_change_of_what_was_attached(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        attach(request(site))
        before = site.hashes()

        def never(*arguments: object) -> None:
            raise PostfixError("not taken up")

        monkeypatch.setattr(attaching.generation, "await_force", never)
        with pytest.raises(PostfixError, match="not taken up"):
            attach(request(site, "alias.test", "other.test"))
        assert site.hashes() == before
        found = status(site.postfix)
        assert (found.standing, found.recorded) == (Standing.ATTACHED, True)
        assert detach(site.postfix).identical

    def test_an_interruption(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        """Ctrl-C while it waits."""
        before = site.hashes()

        def interrupted(*arguments: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(attaching.generation, "await_force", interrupted)
        with pytest.raises(KeyboardInterrupt):
            attach(request(site))
        assert site.hashes() == before
        assert not (site.postfix / journal.NAME).exists()
        assert rcpt(site, "x@alias.test") == [454]

    def test_a_postfix_that_died_of_it_runs_again(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        def dead(*arguments: object) -> None:
            site.instance.run("stop")
            raise PostfixError("not taken up")

        monkeypatch.setattr(attaching.generation, "await_force", dead)
        with pytest.raises(PostfixError, match="not taken up"):
            attach(request(site))
        assert commands.is_running(site.postfix)
        assert rcpt(site, "me@host.test") == [250]

    def test_what_somebody_else_has_changed_since_stays(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = change.read(site.postfix)
        service = "extra unix - - n - - smtp\n"

        def edited(*arguments: object) -> None:
            set_parameter(site, "biff = no")
            change.replace(site.postfix / "master.cf", change.read(site.postfix).master + service)
            raise PostfixError("not taken up")

        monkeypatch.setattr(attaching.generation, "await_force", edited)
        try:
            with pytest.raises(PostfixError, match="not taken up"):
                attach(request(site))
            now = change.read(site.postfix)
            assert now == change.Configuration(before.main + "biff = no\n", before.master + service)
        finally:
            change.detach_files(site.postfix, before)

    def test_a_disk_that_is_full_in_the_end(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        before, real = site.hashes(), journal.write

        def full(config_dir: Path, written: journal.Journal) -> None:
            if written.state is journal.State.ATTACHED:
                raise PostfixError("no space left")
            real(config_dir, written)

        monkeypatch.setattr(journal, "write", full)
        with pytest.raises(PostfixError, match="no space left"):
            attach(request(site))
        assert site.hashes() == before
        assert not (site.postfix / journal.NAME).exists()


class TestListeners:
    """How they are talked to."""

    @pytest.fixture
    def more(self, site: Site) -> Iterator[Callable[[str], None]]:
        """Adds to master.cf; taken out again in the end."""
        before = change.read(site.postfix)

        def add(services: str) -> None:
            change.replace(site.postfix / "master.cf", change.read(site.postfix).master + services)

        yield add
        detach(site.postfix)
        change.detach_files(site.postfix, before)
        commands.reload(site.postfix)

    def test_a_unix_socket_a_proxy_and_one_that_is_broken(
        self, site: Site, more: Callable[[str], None]
    ) -> None:
        proxied, broken = free_port(), free_port()
        more(
            f"127.0.0.1:{proxied} inet n - n - - smtpd -o smtpd_upstream_proxy_protocol=haproxy\n"
            f"127.0.0.1:{broken} inet n - n - - smtpd"
            " -o smtpd_tls_wrappermode=yes -o smtpd_tls_cert_file=/none\n"
            "inside unix n - n - - smtpd -o smtpd_recipient_restrictions=permit_mynetworks,reject"
            " -o smtpd_hard_error_limit=1\n"
        )
        commands.reload(site.postfix)
        notes = attach(request(site)).notes
        assert [str(broken) in note for note in notes] == [True]

    def test_one_that_the_running_postfix_does_not_have(
        self, site: Site, more: Callable[[str], None]
    ) -> None:
        """A reload would be the end of this Postfix, without any doing of ours."""
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            more(f"127.0.0.1:{taken.getsockname()[1]} inet n - n - - smtpd\n")
            with pytest.raises(Collision) as caught:
                attach(request(site))
        assert "unreachable" in caught.value.details[0]
        assert not (site.postfix / journal.NAME).exists()

    def test_two_at_once_wait_for_each_other(self, site: Site) -> None:
        done = []
        threads = [threading.Thread(target=lambda: done.append(attach(request(site)))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(one.changed for one in done) == [False, True]


def test_broken_on_purpose() -> None:
    with sites.running("broken", idle=True) as site:
        before = site.hashes()
        with pytest.raises(PostfixError, match=site.told["collision"]):
            attach(request(site))
        assert site.hashes() == before
