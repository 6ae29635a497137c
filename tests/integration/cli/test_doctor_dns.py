"""`doctor` asks a real DNS server: silent on a right set-up, and what it finds where things are wrong."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from cli_site import Site
from nameserver import Nameserver
from postmask.cli.doctor import surroundings
from postmask.clock import SystemClock
from postmask.doctor.host import routing
from postmask.doctor.host.outside import PARAMETERS

GROUPS = ("--only", "host", "--only", "dns", "--only", "blocklists")
CLOCK = "PM310"
"""Whether the machine on which the tests run has its clock set by anything is its own affair."""


@pytest.fixture
def site(tmp_path: Path, nameserver: Nameserver) -> Site:
    """mx.host.test with alias.test, which isn't in the DNS yet."""
    made = Site(tmp_path, SystemClock())
    configure(made, nameserver)
    made.text("keys", "init")
    made.text("db", "init")
    made.text("domain", "add", "alias.test", "--postmaster", "chief@real.test", "--ed25519")
    made.text("mailbox", "add", "me@real.test", "--verified")
    return made


def configure(site: Site, nameserver: Nameserver, timeout: float = 20.0) -> None:
    site.configure(
        f'[dns]\nnameservers = ["{nameserver.text}"]\ntimeout = {timeout}\n'
        '[doctor]\naddresses = ["192.0.2.25"]\nblocklists = ["bl.test"]\n'
    )


@pytest.fixture
def right(site: Site, nameserver: Nameserver) -> Site:
    """All as it should be."""
    records = site.json("domain", "dns", "alias.test")
    for name in {record["name"] for record in records}:
        nameserver.remove(name)
    for record in records:
        if record["type"] == "MX":
            nameserver.record(f"{record['name']}. IN MX {record['value']}.")
        else:
            nameserver.txt(record["name"], record["value"])
    for name in (
        "real.test",
        "mx.host.test",
        "25.2.0.192.in-addr.arpa",
        "2.0.0.127.bl.test",
        "25.2.0.192.bl.test",
    ):
        nameserver.remove(name)
    nameserver.record("mx.host.test. IN A 192.0.2.25")
    nameserver.record("real.test. IN MX 10 mx.host.test.")
    nameserver.pointer("192.0.2.25", "mx.host.test")
    nameserver.record("2.0.0.127.bl.test. IN A 127.0.0.2")
    return site


def found(site: Site, *words: str) -> list[tuple[str, str]]:
    """Codes and places."""
    told = site.run("doctor", "--json", *(words or GROUPS))
    findings = json.loads(told.stdout)["findings"]
    return [(item["code"], item["where"]) for item in findings if item["code"] != CLOCK]


def test_silent_on_a_right_set_up(right: Site) -> None:
    assert found(right) == []
    assert right.run("doctor", *GROUPS).exit_code == 0


def test_each_group_finds_what_is_wrong(right: Site, nameserver: Nameserver) -> None:
    nameserver.remove("25.2.0.192.in-addr.arpa")
    nameserver.remove("_dmarc.alias.test")
    nameserver.record("25.2.0.192.bl.test. IN A 127.0.0.4")
    nameserver.record('25.2.0.192.bl.test. IN TXT "see https://bl.test/"')
    assert found(right) == [
        ("PM307", "192.0.2.25"),
        ("PM424", "alias.test"),
        ("PM501", "192.0.2.25, bl.test"),
    ]
    told = right.run("doctor", "--only", "blocklists")
    assert told.exit_code == 2
    assert "bl.test lists 192.0.2.25 (127.0.0.4): see https://bl.test/" in told.stdout
    nameserver.remove("2.0.0.127.bl.test")
    nameserver.record("2.0.0.127.bl.test. IN A 127.255.255.254")
    assert found(right, "--only", "blocklists") == [("PM502", "bl.test")]


def test_hostile_answers(right: Site, nameserver: Nameserver) -> None:
    names = [record["name"] for record in right.json("domain", "dns", "alias.test")]
    selector = next(name for name in names if "_domainkey" in name)
    for name in ("_dmarc.alias.test", selector, "alias.test"):
        nameserver.remove(name)
    nameserver.record("_dmarc.alias.test. IN CNAME _dmarc.alias.test.")
    nameserver.record(f"{selector}. IN MX 10 mx.host.test.")
    nameserver.record("alias.test. IN MX 10 mx.host.test.")
    for number in range(60):
        nameserver.txt("alias.test", f"v=spf1 {number}" + "x" * 900)
    assert found(right, "--only", "dns") == [
        ("PM412", "alias.test"),
        ("PM417", selector),
        ("PM402", "alias.test"),
    ]


def test_what_postfix_is_told_of_the_way_out(right: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        told = dict.fromkeys(PARAMETERS, "") | {
            "inet_protocols": "ipv4",
            "myhostname": "mx.host.test",
            "smtp_helo_name": "mx.host.test",
            "smtp_bind_address": "192.0.2.7",
            "relayhost": f"[127.0.0.1]:{silent.getsockname()[1]}",
        }
        monkeypatch.setattr(surroundings, "parameters", lambda _runtime: told)
        monkeypatch.setattr(routing, "has", lambda _address: False)
        assert found(right, "--only", "host") == [("PM306", "192.0.2.7"), ("PM309", "outbound SMTP")]


def test_a_silent_dns_is_one_finding_a_group(right: Site, nameserver: Nameserver) -> None:
    configure(right, nameserver, timeout=0.5)
    with nameserver.hung():
        assert found(right) == [("PM304", "DNS"), ("PM401", "DNS"), ("PM503", "DNS")]
