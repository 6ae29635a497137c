"""`postmask doctor` on a real Postfix with Postmask attached: silent while all is well, and what it finds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import sites
from postmask.cli import programs


@pytest.fixture(scope="module")
def site() -> Iterator[sites.Site]:
    with sites.running("relay-with-recipients") as site:
        site.postmask("postfix", "attach")
        site.postconf("-e", "smtpd_forbid_bare_newline=yes")
        yield site


def doctor(site: sites.Site, *words: str) -> tuple[int, dict[str, Any]]:
    """The exit status, and what was told: of the groups that a lab can be right in."""
    done = site.postmask("doctor", "--only", "node", "--only", "postfix", *words, check=False)
    assert done.stderr == ""
    return done.exit_code, json.loads(done.stdout)


def found(site: sites.Site, *words: str) -> dict[str, str]:
    """Where each code was found; each is found once."""
    findings = doctor(site, *words)[1]["findings"]
    places = {finding["code"]: finding["where"] for finding in findings}
    assert len(places) == len(findings), findings
    return places


def test_all_is_well_and_what_is_not_is_found_until_it_is_mended(site: sites.Site) -> None:
    assert doctor(site) == (0, {"groups": ["node", "postfix"], "findings": []})
    main = site.postfix / "main.cf"
    right = main.read_bytes()
    gone = Path(site.directory) / "gone"
    site.postconf(
        "-e",
        "soft_bounce=yes",
        "header_checks=regexp:{ {/^Received:/ IGNORE} }",
        f"smtp_generic_maps=regexp:{{ {{/@{sites.DOMAIN}$$/ me@host.test}} }}",
        f"smtp_header_checks=hash:{gone}",
        "smtpd_use_tls=no",
        "postmask_destination_recipient_limit=50",
        f"transport_maps=regexp:{{ {{/@{sites.DOMAIN}$$/ discard:}} }}, $postmask_transport_maps",
        "nonsense_of_ours=1",
    )
    try:
        assert found(site) == {
            "PM205": "soft_bounce",
            "PM215": "header_checks",
            "PM216": f"smtp_generic_maps: {sites.DOMAIN}",
            "PM223": f"hash:{gone}",
            "PM224": "smtpd_use_tls",
            "PM225": f"{main}: unused parameter: nonsense_of_ours=1",
            "PM230": sites.DOMAIN,
            "PM235": "postmask_destination_recipient_limit",
        }
        assert doctor(site)[0] == 2
        assert doctor(site, "--changes")[1]["findings"] == []
    finally:
        main.write_bytes(right)
    status, told = doctor(site, "--changes")
    assert (status, told["findings"], len(told["gone"])) == (0, [], 8)


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("milter-alias", {"postmask-milter alias, milter", "postmask-milter alias, gate"}),
        ("milter-scan", {"postmask-milter scan"}),
        ("forwarder", {"postmask-forwarder"}),
    ],
)
def test_a_program_that_hangs(
    site: sites.Site, program: str, told: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its socket takes connections all the same."""
    monkeypatch.setattr(programs, "_SECONDS", 1.0)
    with site.frozen(program):
        found = doctor(site)[1]["findings"]
    assert {finding["code"] for finding in found} == {"PM114"}
    assert {finding["where"] for finding in found} == told
    assert all("hangs" in finding["what"] for finding in found), found


def test_in_a_process_of_its_own_every_check_is_made(site: sites.Site) -> None:
    """Here all is imported long since; the command line imports it while the groups are at work."""
    command = [sys.executable, "-P", "-m", "postmask.cli", "--config", str(site.config), "--json"]
    groups = ["--only", "node", "--only", "postfix", "--send"]
    done = subprocess.run([*command, "doctor", *groups], capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert told["groups"] == ["node", "postfix", "send"]
    assert [one for one in told["findings"] if one["code"] in {"PM001", "PM103"}] == []


def test_a_subdomain_of_ours_that_is_the_hosts(site: sites.Site) -> None:
    right = (site.postfix / "main.cf").read_bytes()
    site.postconf("-e", f"mydestination=$myhostname, sub.{sites.DOMAIN}")
    try:
        assert found(site) == {"PM229": "postmask_domains"}
        site.postmask("postfix", "sync")
        assert doctor(site) == (0, {"groups": ["node", "postfix"], "findings": []})
    finally:
        (site.postfix / "main.cf").write_bytes(right)
