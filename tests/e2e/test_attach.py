"""Attached to hosts of all kinds and detached again, with the real Postfix and our real programs.

    FIXTURES_ALL=1 pytest tests/e2e/test_attach.py          as `make fixtures` does
    FIXTURES_SEED=7 pytest tests/e2e/test_attach.py

On its way attach, sync and detach are killed, once each at a step that the seed chooses (0, always the same,
if none is set), and on some of the hosts our programs and the database fail; with FIXTURES_ALL at every step,
and on all of them.
"""

from __future__ import annotations

import contextlib
import os
import random
import smtplib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fatal_attach
import relaying
import sites
import without_us
from ports import free_port
from postgres import Cluster
from postmask_postfix import commands
from postmask_postfix.instance import Instance
from sites import Site

pytestmark = pytest.mark.apart

EVERYTHING = bool(os.environ.get("FIXTURES_ALL"))
SEED = os.environ.get("FIXTURES_SEED", "0")
WITHOUT_US, ON_POSTGRES = (sites.FINE if EVERYTHING else names for names in (["submission"], ["debian"]))
OPPOSITE = {"attach": "detach", "sync": "sync", "detach": "attach"}


@pytest.mark.timeout(3000 if EVERYTHING else 600)
@pytest.mark.parametrize("name", sites.FINE)
def test_attached_and_detached_the_host_s_mail_flows_as_before(
    name: str, request: pytest.FixtureRequest
) -> None:
    dice = random.Random(f"{SEED} {name}")
    cluster: Cluster | None = request.getfixturevalue("faulty_cluster") if name in ON_POSTGRES else None
    with sites.running(name, database=cluster.fresh() if cluster else None) as site:
        before = site.hashes()
        site.send_own("before")
        assert not relaying.accepted(site)
        told = _killed(site, "attach", dice)
        assert told["changed"], told
        _is_attached(site)
        if name == "postscreen":
            _knows_newcomers(site)
        if name == "postsrsd":
            _knows_the_sender(site)
        _killed(site, "sync", dice)
        assert site.postmask("postfix", "status")["standing"] == "attached"
        assert not relaying.accepted(site)
        if cluster:
            without_us.without_database(site, cluster)
        if name in WITHOUT_US:
            without_us.hung(site)
            without_us.dead_and_gone(site)
        done = _killed(site, "detach", dice)
        assert done["identical"], done
        assert site.hashes() == before
        site.send_own("detached")
        assert "fatal" not in site.log()


def _is_attached(site: Site) -> None:
    """Our mail and the host's flow, ours comes home if it bounces, and a second call changes nothing."""
    site.send_own("attached")
    assert site.send("SMTP", f"nosuch@{sites.DOMAIN}", "unknown", inside=True) == 550
    assert site.send("SMTP", f"shop@{sites.DOMAIN}", "ours", inside=True) == 250
    sender = site.await_title("ours", "me@real.test").sender
    assert sender.endswith(f"@{sites.DOMAIN}")
    assert site.rcpt("SMTP", sender, inside=True) == 250
    attached = site.hashes()
    assert not site.postmask("postfix", "attach")["changed"]
    assert site.hashes() == attached


def _knows_newcomers(site: Site) -> None:
    """A client that postscreen has never seen is turned away once, and then answered as everybody is."""
    newcomer: dict[str, Any] = {"inside": True, "source": "127.0.0.9"}
    assert site.rcpt("SMTP", f"shop@{sites.DOMAIN}", **newcomer) == 450
    site.wait_for(lambda: site.rcpt("SMTP", f"nosuch@{sites.DOMAIN}", **newcomer) == 550, "550")
    assert site.send("SMTP", f"shop@{sites.DOMAIN}", "a newcomer's", **newcomer) == 250
    site.await_title("a newcomer's", "me@real.test")


def _knows_the_sender(site: Site) -> None:
    """Whom SPF is asked about is who the message came from, not what the host made of it."""
    assert site.send("SMTP", f"shop@{sites.DOMAIN}", "from outside") == 250
    assert "from=<SRS0=" in site.log()
    assert b"smtp.mailfrom=example.com" in site.await_title("from outside", "me@real.test").content


def _killed(site: Site, verb: str, dice: random.Random) -> Any:
    """The call is killed on its way, and Postfix works with what lies there; the next one makes it good."""
    steps = range(1, fatal_attach.STEPS[verb] + 1)
    for number, step in enumerate(steps if EVERYTHING else [dice.choice(steps)]):
        with _noted(f"{verb} was killed at step {step} (FIXTURES_SEED={SEED})"):
            if number:
                site.postmask("postfix", OPPOSITE[verb])
            assert fatal_attach.dies(step, verb, site.postfix, site.instance.queue / "postmask")
            commands.reload(site.postfix)
            site.ask_own()
            done = site.postmask("postfix", verb)
    return done


@contextlib.contextmanager
def _noted(circumstances: str) -> Iterator[None]:
    """Tells them where the block fails."""
    try:
        yield
    except BaseException as error:
        error.add_note(circumstances)
        raise


def test_another_instance_hands_our_mail_to_the_same_forwarder() -> None:
    """Sockets and re-injection are the first instance's; the second has their absolute paths."""
    with sites.running("relay-without-recipients") as site, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        second = Instance(folder)
        port = free_port()
        second.write(second.base_parameters(f"127.0.0.1:{site.ports['SINK']}"), "", port)
        before = (second.etc / "main.cf").read_bytes()
        site.postmask("postfix", "attach")
        second.run("start")
        try:
            where = ("--config-dir", str(second.etc))
            _sends(site, port, "before", "you@foreign.test")
            assert site.postmask("postfix", "attach", *where)["changed"]
            _sends(site, port, "attached", "you@foreign.test")
            _sends(site, port, "by the second", f"shop@{sites.DOMAIN}", arrives="me@real.test")
            assert "postmask-reinject/smtpd" in site.log()
            site.postmask("domain", "add", "late.test", "--postmaster", "postmaster@real.test")
            assert site.postmask("postfix", "sync", *where)["changed"]
            assert site.postmask("postfix", "detach", *where)["identical"]
            assert (second.etc / "main.cf").read_bytes() == before
            _sends(site, port, "detached", "you@foreign.test")
            site.send_own("the first's own")
            _refuses_local_users(site)
        finally:
            second.run("stop")


def _sends(site: Site, port: int, title: str, recipient: str, arrives: str = "") -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=60) as session:
        content = f"From: bob@example.com\nSubject: {title}\n\nhello\n"
        session.sendmail("bob@example.com", [recipient], content)
    site.await_title(title, arrives or recipient)


def _refuses_local_users(site: Site) -> None:
    """The listeners for finished mail judge nothing: only our programs get to them."""
    as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "/usr/bin/python3"]
    for name in ("reinject", "hold"):
        with site.reinjection(name) as session:
            assert session.noop()[0] == 250
        program = f"import socket; socket.socket(socket.AF_UNIX).connect('public/postmask-{name}')"
        tried = subprocess.run([*as_nobody, "-c", program], cwd=site.instance.queue, capture_output=True)
        assert b"PermissionError" in tried.stderr
