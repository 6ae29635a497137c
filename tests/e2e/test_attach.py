"""Attached to hosts of all kinds and detached again, with the real Postfix and our real programs."""

from __future__ import annotations

import pytest

import sites


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
