"""The master secrets, as the command line makes, shows and rotates them."""

from __future__ import annotations

import os

from cli_site import NOW, Site
from postmask.cli.runtime import Runtime
from postmask.keys import load
from postmask.keys.fingerprint import publish_fingerprint
from postmask.store import intake, nodes


def test_keys(bare: Site) -> None:
    file = bare.folder / "keys"
    assert "exists" in bare.refusal(os.EX_CONFIG, "keys", "init")
    before = file.read_text()
    added = bare.json("keys", "rotate")["secrets"]
    assert {secret["id"]: secret["use"] for secret in added} == {
        1: "signs and verifies",
        2: "verifies, waits to sign",
    }
    assert file.read_text().startswith(before)
    for secret in (line.split()[2] for line in file.read_text().splitlines() if not line.startswith("#")):
        assert secret not in bare.text("keys", "show")
    assert bare.json("keys", "show") == added
    assert "waits already" in bare.refusal(os.EX_CONFIG, "keys", "rotate")
    signing = bare.json("keys", "rotate", "--sign")["secrets"]
    assert [(secret["id"], secret["use"]) for secret in signing] == [
        (2, "signs and verifies"),
        (1, "verifies"),
    ]
    assert "no secret waits" in bare.refusal(os.EX_CONFIG, "keys", "rotate", "--sign")


def test_a_secret_signs_when_all_nodes_have_it(bare: Site) -> None:
    """This node's programs say which they have, the others have told the database."""
    file = bare.folder / "keys"
    before = load(file).fingerprint
    publish_fingerprint(bare.folder, load(file))
    bare.text("keys", "rotate")
    after = load(file).fingerprint
    others = {"mx2.host.test": before, "mx3.host.test": after, "mx4.host.test": None}
    runtime = Runtime(bare.clock)
    runtime.config_file = bare.config
    with runtime, runtime.engine.begin() as connection:
        for name, keys in others.items():
            intake.seen(connection, name, NOW - 100_000)
            nodes.report(connection, name, nodes.Report("0.1", keys, None, None, None, None, None, None))
        here = runtime.settings.node.name
    told = bare.refusal(os.EX_TEMPFAIL, "keys", "rotate", "--sign")
    assert f"secret 2 isn't at work yet on {here}, mx2.host.test, mx4.host.test," in told
    publish_fingerprint(bare.folder, load(file))
    for name in ("mx2.host.test", "mx4.host.test"):
        bare.text("node", "remove", name)
    assert "secret 2 signs from now on" in bare.text("keys", "rotate", "--sign")


def test_keys_that_others_can_read(bare: Site) -> None:
    (bare.folder / "keys").chmod(0o644)
    told = bare.refusal(os.EX_CONFIG, "keys", "show")
    assert "chmod" in told
