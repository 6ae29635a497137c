"""Domains: added with keys and records, refused with a way out, verified in the DNS."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from cli_site import Site
from postmask.auth.dkim import open_key
from postmask.cli.runtime import Runtime
from postmask.directory.records import DkimKey
from postmask.dnsrecords import Published, Record
from postmask.keys import load
from postmask.store.admin import purge
from postmask.store.models import Alias

POSTMASTER = ("--postmaster", "chief@real.test")


def test_add_prints_each_record_on_one_line(bare: Site) -> None:
    lines = bare.text("domain", "add", "Alias.Test", *POSTMASTER, "--mx", "mx.host.test").splitlines()
    assert lines[0].startswith("alias.test is ours")
    assert lines[1] == "alias.test MX 10 mx.host.test"
    assert lines[2] == "alias.test TXT v=spf1 mx -all"
    assert "._domainkey.alias.test TXT v=DKIM1; k=rsa; p=" in lines[3]
    assert len(lines[3]) > 400
    assert lines[4].startswith("_dmarc.alias.test TXT v=DMARC1;")
    assert "isn't attached" in lines[5]
    assert bare.text("domain", "dns", "alias.test", "--mx", "mx.host.test").splitlines() == lines[1:5]


def test_json_of_add_show_list_and_dns(bare: Site) -> None:
    made = bare.json("domain", "add", "alias.test", *POSTMASTER, "--ed25519")
    assert made["name"] == "alias.test"
    assert made["postmaster"] == "chief@real.test"
    assert [key["algorithm"] for key in made["dkim_keys"]] == ["rsa", "ed25519"]
    assert len({key["selector"] for key in made["dkim_keys"]}) == 2
    assert made["postfix"] == "not attached"
    assert made["dns"][0] == {"name": "alias.test", "type": "MX", "value": "10 mx.host.test"}
    assert bare.json("domain", "dns", "alias.test") == made["dns"]
    assert len(made["dns"]) == 5
    shown = bare.json("domain", "show", "alias.test")
    assert {**shown, "dns": made["dns"], "postfix": made["postfix"]} == made
    assert shown.pop("spam")["mark"] == {"value": 1.0, "from": "settings"}
    assert bare.json("domain", "list") == [shown]
    assert "alias.test" in bare.text("domain", "list")
    assert "ed25519, active" in bare.text("domain", "show", "alias.test")


def test_the_stored_key_can_be_opened(bare: Site) -> None:
    from sqlalchemy import text

    from postmask.store.engine import make_engine

    bare.text("domain", "add", "alias.test", *POSTMASTER, "--ed25519")
    with make_engine(f"sqlite:///{bare.folder}/postmask.db").connect() as connection:
        rows = connection.execute(text("SELECT domain, selector, algorithm, sealed FROM dkim_key")).all()
    keys = load(bare.folder / "keys")
    assert len(rows) == 2
    for row in rows:
        assert open_key(keys, DkimKey(*row)).algorithm == row[2]


def test_zone(bare: Site) -> None:
    bare.text("domain", "add", "bücher.test", *POSTMASTER)
    zone = bare.text("domain", "dns", "bücher.test", "--zone").splitlines()
    assert zone[0] == "xn--bcher-kva.test. IN MX 10 mx.host.test."
    assert zone[1] == 'xn--bcher-kva.test. IN TXT "v=spf1 mx -all"'
    assert zone[2].count('"') == 4


def test_postmaster_is_needed(bare: Site) -> None:
    assert "--postmaster" in bare.refusal(os.EX_USAGE, "domain", "add", "alias.test")
    assert bare.json("domain", "list") == []
    told = bare.refusal(os.EX_DATAERR, "domain", "add", "alias.test", "--postmaster", "chief@alias.test")
    assert "own domain" in told


def test_postmaster_is_asked_for_on_a_terminal(bare: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmask.cli.domain._on_a_terminal", lambda: True)
    told = bare.text("domain", "add", "alias.test", stdin="chief@real.test\n")
    assert "postmaster@alias.test" in told
    assert bare.json("domain", "show", "alias.test")["postmaster"] == "chief@real.test"
    told = bare.run("domain", "add", "other.test", "--json", stdin="chief@real.test\n")
    assert json.loads(told.stdout)["postmaster"] == "chief@real.test"
    assert "postmaster@other.test" in told.stderr


def test_a_domain_of_the_host_is_refused_with_the_way_out(bare: Site) -> None:
    postfix = bare.folder / "postfix"
    postfix.mkdir()
    (postfix / "main.cf").write_text(
        "compatibility_level = 3.6\nmyhostname = mx.host.test\n"
        "mydestination = own.test\nvirtual_alias_maps =\n"
    )
    (postfix / "master.cf").touch()
    told = bare.refusal(os.EX_DATAERR, "domain", "add", "own.test", *POSTMASTER)
    assert "mydestination" in told
    assert "alias.own.test" in told
    assert bare.json("domain", "list") == []
    made = bare.json("domain", "add", "alias.own.test", *POSTMASTER)
    assert made["dns"][0]["value"] == "10 mx.host.test"


def test_refusals(site: Site) -> None:
    assert "already" in site.refusal(os.EX_DATAERR, "domain", "add", "alias.test", *POSTMASTER)
    told = site.refusal(os.EX_DATAERR, "domain", "add", "real.test", "--postmaster", "x@other.test")
    assert "mailbox me@real.test" in told
    site.refusal(os.EX_DATAERR, "domain", "add", "a..b", *POSTMASTER)
    assert "IP address" in site.refusal(os.EX_DATAERR, "domain", "add", "192.0.2.1", *POSTMASTER)
    site.refusal(os.EX_NOUSER, "domain", "show", "other.test")
    site.refusal(os.EX_USAGE, "domain", "edit", "alias.test")


def test_edit(site: Site) -> None:
    changed = site.json("domain", "edit", "alias.test", "--postmaster", "new@real.test")
    assert changed["postmaster"] == "new@real.test"


def test_the_account_that_looks_after_it(site: Site) -> None:
    site.text("account", "add", "anna")
    added = site.json("domain", "add", "anna.test", *POSTMASTER, "--account", "anna")
    assert added["account"] == "anna"
    assert [one["name"] for one in site.json("domain", "list", "--account", "anna")] == ["anna.test"]
    assert [one["name"] for one in site.json("domain", "list", "--account", "default")] == ["alias.test"]
    assert site.json("domain", "edit", "alias.test", "--account", "anna")["account"] == "anna"
    assert site.json("domain", "list", "--account", "default") == []


@pytest.mark.parametrize(
    ("found", "status", "advice"),
    [
        ({"MX": Published.UNKNOWN}, os.EX_TEMPFAIL, "try again later"),
        ({"MX": Published.UNKNOWN, "TXT": Published.MISSING}, os.EX_TEMPFAIL, "try again later"),
        ({"MX": Published.MISSING}, os.EX_DATAERR, "postmask domain dns alias.test"),
        ({"MX": Published.DIFFERENT}, os.EX_DATAERR, "alias.test MX is: there\n"),
    ],
)
def test_one_record_that_isnt_found(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    found: dict[str, Published],
    status: int,
    advice: str,
) -> None:
    def published(_resolver: object, record: Record, _clock: object) -> tuple[Published, list[str]]:
        return found.get(record.type, Published.FOUND), ["there"]

    monkeypatch.setattr("postmask.cli.dnslookup.published", published)
    told = site.run("domain", "verify", "alias.test")
    assert told.exit_code == status
    assert advice in told.stdout
    found.clear()
    assert site.run("domain", "verify", "alias.test").exit_code == 0


def test_a_key_is_renewed(bare: Site) -> None:
    def selectors(*words: str) -> list[str]:
        bare.clock.advance(1)
        return [key["selector"] for key in bare.json("domain", "edit", "alias.test", *words)["dkim_keys"]]

    made = bare.json("domain", "add", "alias.test", *POSTMASTER)
    (old,) = (key["selector"] for key in made["dkim_keys"])
    told = bare.refusal(os.EX_DATAERR, "domain", "edit", "alias.test", "--drop-key", old)
    assert "domain edit alias.test --add-key rsa" in told
    new = selectors("--add-key", "rsa")[-1]
    small = selectors("--add-key", "ed25519")[-1]
    published = [record["name"] for record in bare.json("domain", "dns", "alias.test")]
    assert [f"{one}._domainkey.alias.test" for one in (old, new, small)] == published[2:5]
    assert selectors("--drop-key", old) == [new, small]
    bare.refusal(os.EX_NOUSER, "domain", "edit", "alias.test", "--drop-key", old)
    bare.refusal(os.EX_DATAERR, "domain", "edit", "alias.test", "--drop-key", new)
    assert selectors("--drop-key", small) == [new]
    bare.clock.advance(1)
    assert "domain dns alias.test" in bare.text("domain", "edit", "alias.test", "--add-key", "rsa")


def test_remove(site: Site) -> None:
    told = site.refusal(os.EX_DATAERR, "domain", "remove", "alias.test")
    assert "--with-aliases" in told
    assert "    shop@alias.test\n" in told
    gone = site.json("domain", "remove", "alias.test", "--with-aliases")
    assert gone["removed_aliases"] == ["shop@alias.test"]
    assert site.json("domain", "list") == []
    assert site.json("alias", "list") == []


def test_what_is_removed_is_counted(site: Site) -> None:
    told = site.text("domain", "remove", "alias.test", "--with-aliases")
    assert told.startswith("alias.test is removed, 1 alias with it\n")


def test_a_large_domain_is_removed_in_several_transactions(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two of them others have their turn; what was removed before by hand is told of by neither."""
    monkeypatch.setattr(purge, "AT_ONCE", 2)
    for number in range(5):
        site.text("alias", "add", f"a{number}@alias.test", "--to", "me@real.test")
    site.text("alias", "remove", "a1@alias.test")
    left = []
    changing = Runtime.changing

    @contextlib.contextmanager
    def watched(runtime: Runtime) -> Iterator[Session]:
        with changing(runtime) as session:
            yield session
        with runtime.reading() as session:
            left.append(len(session.scalars(select(Alias.id)).all()))

    monkeypatch.setattr(Runtime, "changing", watched)
    gone = site.json("domain", "remove", "alias.test", "--with-aliases")
    assert gone["removed_aliases"] == [f"{name}@alias.test" for name in ("a0", "a2", "a3", "a4", "shop")]
    assert left == [4, 2, 2, 0]


@pytest.mark.parametrize("host", ["", "bad host", "mx\x1b[31m.test", "192.0.2.1", "[192.0.2.1]"])
def test_what_is_no_mail_exchanger(bare: Site, host: str) -> None:
    bare.refusal(os.EX_DATAERR, "domain", "add", "alias.test", *POSTMASTER, "--mx", host)
    assert bare.json("domain", "list") == []


def test_without_keys_nothing_is_added(bare: Site) -> None:
    (bare.folder / "keys").unlink()
    assert str(bare.folder / "keys") in bare.refusal(os.EX_CONFIG, "domain", "add", "alias.test", *POSTMASTER)
    assert bare.json("domain", "list") == []


def test_an_unfinished_host_name_is_pointed_out(bare: Site) -> None:
    told = bare.run("domain", "add", "alias.test", *POSTMASTER, "--mx", "mx")
    assert told.exit_code == 0
    assert "--mx mx.DOMAIN" in told.stderr


def test_what_root_has_to_run(bare: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmask_postfix.sync.attached", lambda _: True)
    monkeypatch.setattr("postmask.cli.postfix_facts.installed", lambda _: True)
    monkeypatch.setattr("postmask.cli.postfix_facts.own_domain", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    lines = bare.text("domain", "add", "alias.test", *POSTMASTER, "--mx", "mx.host.test").splitlines()
    assert lines[-1] == f"postmask --config {bare.config} postfix sync"
    assert bare.json("domain", "remove", "alias.test")["postfix"] == "root needed"


def test_a_postfix_that_cant_be_told_is_said(bare: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from postmask_postfix.sync import SyncError

    def fail(_directory: Path, _names: list[str]) -> bool:
        raise SyncError("postconf failed")

    monkeypatch.setattr("postmask_postfix.sync.attached", lambda _: True)
    monkeypatch.setattr("postmask_postfix.sync.sync_domains", fail)
    monkeypatch.setattr("postmask.cli.postfix_facts.installed", lambda _: True)
    monkeypatch.setattr("postmask.cli.postfix_facts.own_domain", lambda *_: None)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    told = bare.refusal(os.EX_UNAVAILABLE, "domain", "add", "alias.test", *POSTMASTER, "--mx", "mx.host.test")
    assert "postconf failed" in told
    assert "postfix sync" in told
    assert [domain["name"] for domain in bare.json("domain", "list")] == ["alias.test"]
    told = bare.refusal(os.EX_DATAERR, "domain", "add", "alias.test", *POSTMASTER, "--mx", "mx.host.test")
    assert "one of our domains already" in told


def test_sync_dry_run(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmask.cli.postfix_facts.installed", lambda _: True)
    assert site.text("postfix", "sync", "--dry-run").splitlines()[1:] == ["alias.test"]
    assert site.json("postfix", "sync", "--dry-run") == {
        "domains": ["alias.test"],
        "changed": False,
        "dry_run": True,
    }
