"""One machine with every role as it is by default, a certificate of the site's own, and a lost SQLite.

There is no root of the DNS here that a resolver could ask: it is told whom to ask, and what isn't signed.
"""

from __future__ import annotations

import shutil
import smtplib
import ssl
import time
from pathlib import Path

from certificates import Authority
from copies import Reader
from provisioned import Lab, bare, directory, wait_until
from spam_messages import GTUBE, PLAIN

MX = "mx.host.test"
_CERTIFICATE, _KEY = "etc/ssl/site.pem", "etc/ssl/private/site.key"
_ZONES = """
server:
  local-zone: test. nodefault
  local-zone: 100.51.198.in-addr.arpa. nodefault
  domain-insecure: test
  domain-insecure: com
  domain-insecure: arpa
"""
_DATABASE = "/var/lib/postmask/postmask.db"


def test_everything_by_default(tmp_path: Path) -> None:
    with bare({MX: "trixie"}, tmp_path) as lab:
        authority, reader = Authority(tmp_path, "site"), Reader(tmp_path)
        _bring_certificate(lab, authority)
        _inventory(lab, reader)
        lab.control.play("site.yml", "--check", "--diff")
        assert not lab.hosts[MX].path("opt/postmask").exists()
        begun = time.monotonic()
        lab.control.play("site.yml")
        print(f"all roles: the first run took {time.monotonic() - begun:.0f} s")
        records = lab.publish()
        contact = lab.exchange(MX, records)
        _spam_is_judged(lab)
        _certificate_is_shown(lab, authority)
        begun = time.monotonic()
        assert lab.control.play("site.yml").changed == {MX: 0}
        print(f"all roles: the second run took {time.monotonic() - begun:.0f} s")
        assert lab.control.play("site.yml", "--check", "--diff").changed == {MX: 0}

        wait_until(lambda: contact in lab.postmask(MX, "contact", "list", "shop@alias.test"), "the contact")
        lab.hosts[MX].run("systemctl", "start", "postmask-backup.service")
        _database_is_lost(lab)
        lab.control.play("restore.yml", *reader.words, "--check", "--diff")
        lab.control.play("restore.yml", *reader.words)
        assert lab.verdict(MX, "later@alias.test") == 550
        lab.answer(MX, contact, records)
        assert lab.exchange(MX, records) == contact
        assert lab.control.play("site.yml", "--check", "--diff").changed == {MX: 0}


def _bring_certificate(lab: Lab, authority: Authority) -> None:
    certificate, key = authority.issue(lab.world.wire.address(MX))
    lab.hosts[MX].path(_KEY).parent.mkdir(exist_ok=True)
    shutil.copy(certificate, lab.hosts[MX].path(_CERTIFICATE))
    shutil.copy(key, lab.hosts[MX].path(_KEY))


def _inventory(lab: Lab, reader: Reader) -> None:
    variables = directory("trixie", lab.control.folder) | {
        "postmask_mx_tls_certificate": f"/{_CERTIFICATE}",
        "postmask_mx_tls_key": f"/{_KEY}",
        "postmask_dns_forwarders": [lab.world.wire.address("dns")],
        "postmask_dns_lines": _ZONES,
        "postmask_backup_recipients": [reader.recipient],
    }
    lab.control.inventory({"postmask_mx": {"hosts": {MX: {}}, "vars": variables}}, lab.hosts.values())


def _spam_is_judged(lab: Lab) -> None:
    for message, word in ((PLAIN, b"no"), (GTUBE, b"yes")):
        lab.world.send(MX, "bob@example.com", ["shop@alias.test"], message)
        (told,) = (
            line
            for line in lab.world.received("you@real.test").split(b"\r\n")
            if line.startswith(b"X-Postmask-Spam: ")
        )
        assert told.startswith(b"X-Postmask-Spam: " + word), told
        assert b"engine=rspamd" in told


def _certificate_is_shown(lab: Lab, authority: Authority) -> None:
    """Verified as a careful sender does."""
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    address = lab.world.wire.address(MX)
    with lab.world.wire.inside("out"), smtplib.SMTP(address, 25, "out.test", timeout=300) as connection:
        assert connection.starttls(context=trusting)[0] == 220


def _database_is_lost(lab: Lab) -> None:
    """With an alias that the copy hasn't; the programs still have the files open that are gone."""
    lab.postmask(MX, "alias", "add", "later@alias.test", "--to", "you@real.test")
    assert lab.verdict(MX, "later@alias.test") == 250
    lab.hosts[MX].run("sh", "-c", f"rm {_DATABASE}*")
