"""One machine: a bare Debian becomes an alias service by one command, and the second changes nothing."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest

from booted import Host
from provisioned import MX, Lab, letter, single
from trees import SUITES

PROGRAMS = ("postmask-agent", "postmask-forwarder", "postmask-milter-alias", "postmask-milter-scan")


def files(host: Host) -> dict[str, bytes]:
    """What is in /etc/postfix."""
    root = host.path("etc/postfix")
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.parametrize("suite", SUITES)
def test_a_bare_host(suite: str, tmp_path: Path) -> None:
    with single(suite, tmp_path) as there:
        assert there.control.play("site.yml", "--check", "--diff").changed[MX] > 0
        assert not there.hosts[MX].path("opt/postmask").exists()
        assert not there.hosts[MX].path("etc/postfix").exists()
        begun = time.monotonic()
        there.control.play("site.yml")
        print(f"{suite}: the first run took {time.monotonic() - begun:.0f} s")
        there.exchange(MX, there.publish())
        assert "250-STARTTLS" in _greeting(there)
        begun = time.monotonic()
        assert there.control.play("site.yml").changed == {MX: 0}
        print(f"{suite}: the second run took {time.monotonic() - begun:.0f} s")
        assert there.control.play("site.yml", "--check", "--diff").changed == {MX: 0}
        there.hosts[MX].run("touch", "/run/postmask-play")
        assert there.control.play("site.yml").changed == {MX: 2}, "what an interrupted play has left"
        _what_is_amiss_is_told(there)
        _after_another_python(there)
        there.control.play("upgrade.yml")
        assert there.control.play("site.yml", "--check", "--diff").changed == {MX: 0}
        _programs_are_confined(there.hosts[MX])
        _what_crashes_is_restarted(there)


def _what_is_amiss_is_told(there: Lab) -> None:
    """No play ends well on a host that doesn't take mail as it should: here with other master secrets."""
    host = there.hosts[MX]
    host.run("mv", "/etc/postmask/keys", "/etc/postmask/keys.before")
    there.postmask(MX, "keys", "init")
    done = there.control.run("site.yml", "-e", "postmask_mx_patience=6")
    assert done.returncode == 2, done.stdout
    assert "postmask status: " in done.stdout
    host.run("mv", "/etc/postmask/keys.before", "/etc/postmask/keys")


def _after_another_python(there: Lab) -> None:
    """As an upgrade of Debian leaves it: nothing of ours can be started."""
    there.hosts[MX].run("sh", "-c", "mv /opt/postmask/lib/python3.* /opt/postmask/of-before")
    assert not there.hosts[MX].succeeds("/opt/postmask/bin/postmask", "--version")
    assert there.control.play("site.yml", "--check", "--diff").changed[MX] > 0
    there.control.play("site.yml")
    there.hosts[MX].run("rm", "-r", "/opt/postmask/of-before")
    assert "postmask" in there.postmask(MX, "--version")


def _greeting(there: Lab) -> str:
    return there.hosts[MX].run("python3", "-c", _EHLO).stdout


_EHLO = """
import smtplib
with smtplib.SMTP("127.0.0.1") as connection:
    print("\\n".join("250-" + name.upper() for name in connection.ehlo() and connection.esmtp_features))
"""


def _programs_are_confined(host: Host) -> None:
    host.run(
        *("systemd-analyze", "security", "--offline=true", "--threshold=30"),
        *(f"/etc/systemd/system/{name}.service" for name in PROGRAMS),
    )
    for name in PROGRAMS:
        pid = host.run("systemctl", "show", "--property=MainPID", "--value", name).stdout.strip()
        status = host.run("cat", f"/proc/{pid}/status").stdout
        assert re.search(r"(?m)^CapEff:\s+0+$", status), name
        assert host.run("stat", "-c", "%U", f"/proc/{pid}").stdout == "postmask\n"


def _what_crashes_is_restarted(there: Lab) -> None:
    for name in ("postmask-forwarder", "postmask-milter-alias"):
        there.hosts[MX].run("systemctl", "kill", "--signal=KILL", name)
    sender, alias = "bob@example.com", "shop@alias.test"
    there.world.send(MX, sender, [alias], letter(sender, alias, "after the crash"))
    assert b"after the crash" in there.world.received("you@real.test")


_OWN = """
set -e
echo 'postfix postfix/main_mailer_type select Internet Site' | debconf-set-selections
echo 'postfix postfix/mailname string own.test' | debconf-set-selections
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends postfix
useradd --create-home anna
postconf -e 'myhostname = mx.host.test' 'mydestination = own.test, localhost' 'home_mailbox = Maildir/' \
    'smtpd_recipient_restrictions = permit_mynetworks, reject_unauth_destination' 'mynetworks = 127.0.0.0/8'
printf '# mine\\nsubmission inet n - y - - smtpd\\n  -o syslog_name=postfix/submission\\n' \
    >> /etc/postfix/master.cf
systemctl restart postfix
"""


def test_a_host_with_mail_of_its_own(tmp_path: Path) -> None:
    with single("bookworm", tmp_path) as there:
        there.hosts[MX].run("sh", "-c", _OWN)
        before = files(there.hosts[MX])
        there.control.play("site.yml", "--check", "--diff")
        assert files(there.hosts[MX]) == before
        there.control.play("site.yml")
        assert files(there.hosts[MX]) != before
        _own_mail_arrives(there, "with Postmask")
        there.exchange(MX, there.publish())
        assert there.control.play("site.yml").changed == {MX: 0}
        attached = files(there.hosts[MX])
        assert there.control.play("detach.yml", "--check", "--diff").changed[MX] > 0
        assert files(there.hosts[MX]) == attached
        there.control.play("detach.yml")
        assert files(there.hosts[MX]) == before
        assert not there.hosts[MX].path("opt/postmask").exists()
        assert "postmask" not in there.hosts[MX].path("etc/passwd").read_text()
        _own_mail_arrives(there, "without Postmask")
        assert there.control.play("detach.yml").changed == {MX: 0}


def _own_mail_arrives(there: Lab, text: str) -> None:
    sender, recipient = "bob@example.com", "anna@own.test"
    there.world.send(MX, sender, [recipient], letter(sender, recipient, text))
    folder = there.hosts[MX].path("home/anna/Maildir/new")
    limit = time.monotonic() + 180
    while not any(text in path.read_text() for path in folder.glob("*")):
        assert time.monotonic() < limit
        time.sleep(0.2)
