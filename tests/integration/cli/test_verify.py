"""`domain verify` asks a real DNS server."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli_site import NOW, Site
from nameserver import Nameserver
from postmask.clock import ManualClock


@pytest.fixture
def site(tmp_path: Path, nameserver: Nameserver) -> Site:
    """alias.test, whose records nobody has published yet."""
    made = Site(tmp_path, ManualClock(NOW))
    made.configure(f'[dns]\nnameservers = ["{nameserver.text}"]\ntimeout = 1\n')
    made.text("keys", "init")
    made.text("db", "init")
    made.text("domain", "add", "alias.test", "--postmaster", "chief@real.test", "--ed25519")
    return made


def verified(site: Site) -> tuple[int, dict[str, str]]:
    """Exit status, and what was found by record name and type."""
    told = site.run("domain", "verify", "alias.test", "--json")
    found = json.loads(told.stdout)
    return told.exit_code, {f"{row['name']} {row['type']}": row["published"] for row in found}


def test_missing_found_different(site: Site, nameserver: Nameserver) -> None:
    records = site.json("domain", "dns", "alias.test")
    status, found = verified(site)
    assert status == os.EX_DATAERR
    assert set(found.values()) == {"missing"}
    assert "postmask domain dns alias.test" in site.run("domain", "verify", "alias.test").stdout

    for record in records:
        if record["type"] == "MX":
            nameserver.record(f"{record['name']}. IN MX {record['value']}.")
        else:
            nameserver.txt(record["name"], record["value"])
    nameserver.txt("alias.test", "some-verification=of-somebody-else")
    status, found = verified(site)
    assert (status, set(found.values())) == (0, {"found"})
    assert "missing" not in site.text("domain", "verify", "alias.test")

    nameserver.remove("_dmarc.alias.test")
    nameserver.remove("alias.test")
    nameserver.txt("alias.test", "v=spf1 a -all")
    status, found = verified(site)
    assert status == os.EX_DATAERR
    assert found["alias.test TXT"] == "different"
    assert found["alias.test MX"] == found["_dmarc.alias.test TXT"] == "missing"
    assert "alias.test TXT is: v=spf1 a -all\n" in site.run("domain", "verify", "alias.test").stdout

    nameserver.record("alias.test. IN MX 10 mx.host.test.")
    nameserver.txt("_dmarc.alias.test", "v=DMARC1; p=none")
    status, found = verified(site)
    assert (status, set(found.values())) == (os.EX_DATAERR, {"found", "different"})


def test_dns_that_cant_be_asked_is_75(site: Site, nameserver: Nameserver) -> None:
    with nameserver.failing("alias.test"):
        status, found = verified(site)
        told = site.run("domain", "verify", "alias.test").stdout
    assert (status, set(found.values())) == (os.EX_TEMPFAIL, {"unknown"})
    assert "alias.test MX can't be told: " in told
    shown = site.run("domain", "verify", "alias.test", "--mx", "mx.other.test")
    assert shown.exit_code == os.EX_DATAERR
