"""Attached to hosts of all kinds and detached again, with the real Postfix and our real programs."""

from __future__ import annotations

import smtplib
import subprocess
import tempfile
from pathlib import Path

import pytest

import sites
from postmask_postfix.instance import Instance
from postmask_postfix.lab.postfix import free_port
from sites import Site


@pytest.mark.parametrize("name", sites.FINE)
def test_attached_and_detached_the_host_s_mail_flows_as_before(name: str) -> None:
    with sites.running(name) as site:
        before = site.hashes()
        site.send_own("before")
        told = site.postmask("postfix", "attach")
        assert told["changed"], told
        site.send_own("attached")
        assert site.send("SMTP", f"nosuch@{sites.DOMAIN}", "unknown", inside=True) == 550
        assert site.send("SMTP", f"shop@{sites.DOMAIN}", "ours", inside=True) == 250
        site.await_title("ours", "me@real.test")
        attached = site.hashes()
        assert not site.postmask("postfix", "attach")["changed"]
        assert site.hashes() == attached
        assert site.postmask("postfix", "status")["standing"] == "attached"
        done = site.postmask("postfix", "detach")
        assert done["identical"], done
        assert site.hashes() == before
        site.send_own("detached")
        assert "fatal" not in site.log()


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
