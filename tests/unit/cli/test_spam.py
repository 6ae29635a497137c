"""`postmask spam`, where no engine is needed."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from cli_site import Site
from postmask.spam.bypass import Bypass
from postmask.spam.publishing import Publisher
from postmask.spam.scanner import Installed, Scanner
from postmask.spam.spamc import Spamd


@pytest.fixture
def message(tmp_path: Path) -> str:
    path = tmp_path / "message.eml"
    path.write_bytes(b"Subject: x\r\n\r\nhello\r\n")
    return str(path)


def with_nobody(site: Site) -> str:
    """An engine's address on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
    site.configure(f'[spam]\nengines = ["spamd"]\n[spamd]\naddress = "{address}"\n')
    return address


class TestBypass:
    def test_on_and_off(self, bare: Site) -> None:
        assert bare.json("spam", "bypass", "show") == {"bypass": False, "until": None}
        assert bare.text("spam", "bypass", "on") == "on: no engine is asked until it is switched off\n"
        assert bare.json("spam", "bypass", "show") == {"bypass": True, "until": None}
        assert Bypass(bare.folder, bare.clock).in_force()
        assert bare.text("spam", "bypass", "off") == "off: the engines are asked\n"
        assert not Bypass(bare.folder, bare.clock).in_force()
        assert bare.json("spam", "bypass", "off") == {"bypass": False, "until": None}

    def test_for_a_while(self, bare: Site) -> None:
        until = bare.clock.now() + 1_800
        assert bare.json("spam", "bypass", "on", "--for", "30m") == {"bypass": True, "until": until}
        bare.clock.advance(1_799)
        assert bare.json("spam", "bypass", "show")["bypass"]
        bare.clock.advance(1)
        assert bare.json("spam", "bypass", "show") == {"bypass": False, "until": None}

    @pytest.mark.parametrize("length", ["30", "0m", "-1h", "1y", "2026-01-31", ""])
    def test_a_length_that_is_none(self, bare: Site, length: str) -> None:
        assert "no length of time" in bare.refusal(os.EX_USAGE, "spam", "bypass", "on", "--for", length)

    def test_a_folder_that_isnt_there(self, bare: Site) -> None:
        bare.configure(f'[spam]\ndirectory = "{bare.folder}/none"\n')
        bare.refusal(os.EX_NOINPUT, "spam", "bypass", "on")
        assert not bare.json("spam", "bypass", "show")["bypass"]


class TestCheck:
    def test_no_engine(self, bare: Site, message: str) -> None:
        assert "spam.engines" in bare.refusal(os.EX_CONFIG, "spam", "check", message)

    def test_nobody_has_judged(self, bare: Site, message: str) -> None:
        with_nobody(bare)
        told = bare.run("spam", "check", message)
        assert told.exit_code == os.EX_UNAVAILABLE
        assert "spamd refused (Connection refused), " in told.stdout
        assert bare.run("spam", "check", "-", stdin="x").exit_code == os.EX_UNAVAILABLE

    def test_no_file(self, bare: Site) -> None:
        with_nobody(bare)
        bare.refusal(os.EX_NOINPUT, "spam", "check", "/none")


class TestStatus:
    def test_no_engine(self, bare: Site) -> None:
        assert bare.json("spam", "status") == {
            "engines": [],
            "programs": [],
            "bypass": False,
            "until": None,
        }
        assert "spam.engines" in bare.text("spam", "status")

    def test_one_that_is_not_there(self, bare: Site) -> None:
        address = with_nobody(bare)
        told = bare.run("spam", "status")
        assert told.exit_code == os.EX_UNAVAILABLE
        assert address in told.stdout
        assert "refused: Connection refused" in told.stdout
        assert bare.run("spam", "status", "--json").exit_code == os.EX_UNAVAILABLE

    def test_figures_of_the_programs_and_the_switch(self, bare: Site) -> None:
        where = ("127.0.0.1", 783)
        engine = Installed("spamd", Spamd(), where, where, 1.0, 4.0, 1_000)
        scanner = Scanner([engine], bare.clock, lambda: False)
        publisher = Publisher(bare.folder, "forwarder", scanner, bare.clock)
        publisher.write()
        bare.text("spam", "bypass", "on")
        (program,) = bare.json("spam", "status")["programs"]
        assert (program["program"], program["engines"][0]["breaker"]) == ("forwarder", "closed")
        shown = bare.text("spam", "status")
        assert "forwarder" in shown
        assert shown.endswith("on: no engine is asked until it is switched off\n")
        publisher.close()
        assert bare.json("spam", "status")["programs"] == []

    def test_programs_without_engines_are_no_table(self, bare: Site) -> None:
        publisher = Publisher(bare.folder, "forwarder", Scanner([], bare.clock, lambda: False), bare.clock)
        publisher.write()
        assert bare.text("spam", "status") == "no engine is configured (spam.engines)\n"
        publisher.close()

    def test_the_node_s_status_tells_of_it(self, bare: Site) -> None:
        def checks() -> list[tuple[bool, str]]:
            found = json.loads(bare.run("status", "--json").stdout)["checks"]
            return [(one["ok"], one["what"]) for one in found if one["part"] == "spam"]

        assert checks() == []
        address = with_nobody(bare)
        bare.text("spam", "bypass", "on")
        assert checks() == [
            (False, f"spamd at {address}: refused: Connection refused"),
            (False, "no engine is asked; to end that: postmask spam bypass off"),
        ]
        bare.configure('[spam]\nengines = ["spamd"]\ndirectory = "/nonexistent/postmask"\n')
        assert "there is no folder /nonexistent/postmask " in checks()[0][1]
