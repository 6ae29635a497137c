"""`postmask doctor`: what it prints, its exit statuses, and what differs from the last run."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from cli_site import Site
from postmask.cli.doctor import command
from postmask.cli.doctor.surroundings import Once, Surroundings, parameters
from postmask.cli.runtime import Runtime
from postmask.doctor.examination import Check, Group
from postmask.doctor.finding import Code, Finding, error, notice, warning
from postmask_postfix.instance import cool

FLAT = error("PM997", "A tyre is flat.", "It won't roll.", "Pump it up.")
RUSTY = warning("PM996", "There is rust.", "It creaks.", "Oil it.")
DIRTY = notice("PM995", "There is dirt.", "It looks bad.", "Wash it.")


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the only group finds, from now on."""
    findings: list[Finding] = []
    codes: tuple[Code, ...] = (FLAT, RUSTY, DIRTY)
    group = Group[Surroundings]("node", "Wheels.", 60.0, codes, (Check("wheels", lambda _around: findings),))
    monkeypatch.setattr(command, "GROUPS", (group,))
    return findings


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], 0),
        ([DIRTY.at("frame")], 0),
        ([RUSTY.at("chain"), DIRTY.at("frame")], 1),
        ([RUSTY.at("chain"), FLAT.at("front")], 2),
    ],
)
def test_the_exit_status_is_that_of_the_worst(
    bare: Site, found: list[Finding], findings: list[Finding], status: int
) -> None:
    found += findings
    assert bare.run("doctor").exit_code == status
    assert bare.run("doctor", "--changes").exit_code == status
    assert bare.run("doctor", "--json").exit_code == status


def test_a_person_is_told_what_why_and_what_to_do(bare: Site, found: list[Finding]) -> None:
    assert bare.text("doctor") == "nothing is wrong (node)\n"
    found += [FLAT.at("front", "the front tyre has 0.1 bar"), RUSTY.at("chain"), RUSTY.at("frame")]
    assert bare.run("doctor").stdout == (
        "PM997 error: front: the front tyre has 0.1 bar\n    It won't roll.\n    -> Pump it up.\n"
        "PM996 warning: chain: There is rust.\n    It creaks.\n    -> Oil it.\n"
        "PM996 warning: frame: There is rust.\n    It creaks.\n    -> Oil it.\n"
        "1 error, 2 warnings (node)\n"
    )


def test_a_program_is_told_the_same(bare: Site, found: list[Finding]) -> None:
    found.append(FLAT.at("front", "0.1 bar", advice="Call a taxi."))
    assert json.loads(bare.run("doctor", "--json").stdout) == {
        "groups": ["node"],
        "findings": [
            {
                "group": "node",
                "code": "PM997",
                "severity": "error",
                "where": "front",
                "what": "0.1 bar",
                "why": "It won't roll.",
                "next": "Call a taxi.",
            }
        ],
    }


def test_with_changes_only_news_are_told(bare: Site, found: list[Finding]) -> None:
    found.append(FLAT.at("front", "0.1 bar"))
    assert bare.run("doctor", "--changes").stdout.startswith("PM997 error: front: 0.1 bar\n")
    found[:] = [FLAT.at("front", "0.2 bar")]
    assert bare.run("doctor", "--changes").stdout == ""
    found[:] = [RUSTY.at("chain")]
    told = json.loads(bare.run("doctor", "--changes", "--json").stdout)
    assert [finding["code"] for finding in told["findings"]] == ["PM996"]
    assert told["gone"] == [{"group": "node", "code": "PM997", "where": "front", "what": "0.2 bar"}]
    found.clear()
    assert bare.run("doctor", "--changes").stdout == "gone: PM996 chain: There is rust.\n"


def test_a_run_without_changes_is_remembered_too(bare: Site, found: list[Finding]) -> None:
    found.append(FLAT.at("front"))
    bare.run("doctor")
    assert bare.run("doctor", "--changes").stdout == ""


def test_noise_in_the_place_of_what_was_remembered_makes_all_new(bare: Site, found: list[Finding]) -> None:
    found.append(FLAT.at("front"))
    bare.run("doctor")
    (bare.folder / "doctor.json").write_bytes(b"\xff\x00" * 100)
    assert "PM997" in bare.run("doctor", "--changes").stdout
    assert bare.run("doctor", "--changes").stdout == ""


def test_where_it_cannot_remember_it_says_so(bare: Site, found: list[Finding]) -> None:
    bare.configure()
    bare.config.write_text(bare.config.read_text().replace(str(bare.spool), "/proc/none/spool.db"))
    told = bare.run("doctor")
    assert told.exit_code == 0
    assert "/proc/none/doctor.json" in told.stderr
    assert "Traceback" not in told.stderr


def test_a_configuration_that_cannot_be_used_is_an_error_with_a_code(bare: Site) -> None:
    bare.configure("[nonsense]\n")
    told = bare.run("doctor", "--json")
    assert told.exit_code == 2
    (finding,) = json.loads(told.stdout)["findings"]
    assert (finding["code"], finding["where"]) == ("PM101", "configuration")
    assert "nonsense" in finding["what"]


def test_what_status_calls_amiss_has_a_code(bare: Site) -> None:
    told = json.loads(bare.run("doctor", "--only", "node", "--json").stdout)
    codes = {finding["code"] for finding in told["findings"]}
    assert {"PM110", "PM114", "PM120"} <= codes
    amiss = [check for check in json.loads(bare.run("status", "--json").stdout)["checks"] if not check["ok"]]
    assert {check["code"] for check in amiss} <= codes


def test_of_a_postfix_that_isnt_there_it_isnt_said_that_nothing_is_wrong(bare: Site) -> None:
    told = bare.run("doctor", "--only", "postfix", "--json")
    (finding,) = json.loads(told.stdout)["findings"]
    assert (told.exit_code, finding["code"], finding["where"]) == (1, "PM001", "postfix, lint")
    assert f"there is no Postfix in {bare.folder}/postfix" in finding["what"]


def test_what_several_groups_ask_is_asked_once() -> None:
    asked: list[int] = []
    answer = Once(lambda: asked.append(1) or "yes")
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: answer(), range(40))) == {"yes"}
    assert asked == [1]


@pytest.mark.parametrize(
    ("maps", "relay"),
    [
        ("inline:{ @alias.test=[smart.test]:587 }", "[smart.test]:587"),
        ("inline:{ @alias.test=DUNNO }", "[all.test]"),
        ("inline:{ @other.test=[smart.test]:587 }", "[all.test]"),
        ("texthash:/nowhere", "[all.test]"),
    ],
)
def test_our_mail_may_have_a_relay_of_its_own(site: Site, maps: str, relay: str) -> None:
    folder = site.folder / "postfix"
    folder.mkdir()
    (folder / "master.cf").touch()
    (folder / "main.cf").write_text(f"relayhost = [all.test]\nsender_dependent_relayhost_maps = {maps}\n")
    cool(folder / "main.cf")
    runtime = Runtime(site.clock)
    runtime.config_file = site.config
    with runtime:
        assert parameters(runtime)["relayhost"] == relay


def test_an_unknown_group_is_refused_with_those_that_there_are(bare: Site) -> None:
    assert "node" in bare.refusal(64, "doctor", "--only", "nonsense")
