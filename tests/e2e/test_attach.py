"""Attached to hosts of all kinds and detached again, with the real Postfix and our real programs."""

from __future__ import annotations

import smtplib
import tempfile
from pathlib import Path

import pytest

import sites
from postmask_postfix.instance import Instance
from postmask_postfix.lab.postfix import free_port


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
            assert site.postmask("postfix", "attach", *where)["changed"]
            with smtplib.SMTP("127.0.0.1", port, timeout=60) as session:
                content = "From: bob@example.com\nSubject: by the second\n\nhello\n"
                session.sendmail("bob@example.com", [f"shop@{sites.DOMAIN}"], content)
            site.await_title("by the second", "me@real.test")
            assert "postmask-reinject/smtpd" in site.log()
            site.postmask("domain", "add", "late.test", "--postmaster", "postmaster@real.test")
            assert site.postmask("postfix", "sync", *where)["changed"]
            assert site.postmask("postfix", "detach", *where)["identical"]
            assert (second.etc / "main.cf").read_bytes() == before
        finally:
            second.run("stop")
