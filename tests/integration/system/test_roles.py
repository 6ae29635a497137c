"""Tasks of our roles, played here beside a stand-in for our command line. Booted hosts: tests/ansible."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
FIRST, SECOND = "mx1.host.test", "mx2.host.test"
SECRET = "s3cret"
URL = f"postgresql://postmask:{SECRET}@db.host.test/postmask"

_STAND_IN = """#!/bin/sh
echo "$*" >> {folder}/called
case "$*" in
    *" db status --json") cat {folder}/schema; exit 69 ;;
    *" config show database.owner_url --json") echo '{{"value": "sqlite:///{folder}/postmask.db"}}' ;;
    *" config show replica.directory --json") echo '{{"value": "{folder}/replica"}}' ;;
    *" db move "*) cat > /dev/null; echo "there is no room" >&2; exit 69 ;;
    *" status --json")
        mkdir {folder}/asked 2>/dev/null && severity=error || severity=$(cat {folder}/severity)
        printf '{{"checks": [%s, {{"part": "programs", "what": "it hangs", "severity": "%s"}}]}}' \\
            '{{"part": "keys", "severity": null}}, {{"part": "node", "severity": "error"}}' "$severity"
        exit 69 ;;
esac
"""


class Site:
    """Two mail exchangers, which are this machine, and nothing on either of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first: dict[str, Any] = {}  # variables of the first one alone
        self.config = folder / "etc/postmask.toml"
        program = folder / "venv/bin/postmask"
        program.parent.mkdir(parents=True)
        program.write_text(_STAND_IN.format(folder=folder))
        program.chmod(0o755)

    def called(self) -> list[str]:
        """What our command line was asked, without its configuration."""
        lines = (self.folder / "called").read_text().splitlines()
        return [line.partition(f"--config {self.config} ")[2] for line in lines]

    def play(self, playbook: Path, *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        told = {
            "ansible_connection": "local",
            "ansible_become": False,
            "ansible_python_interpreter": sys.executable,
            "postmask_mx_venv": str(self.folder / "venv"),
            "postmask_mx_config": str(self.config),
            "postmask_mx_keys_file": str(self.folder / "keys"),
        } | variables
        inventory = self.folder / "inventory.yml"
        hosts = {FIRST: self.first, SECOND: {}}
        inventory.write_text(json.dumps({"postmask_mx": {"hosts": hosts, "vars": told}}))
        program = Path(sys.executable).with_name("ansible-playbook")
        settings = {
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.folder),
            "ANSIBLE_ROLES_PATH": str(ROOT / "ansible/roles"),
            "PATH": f"{self.folder}:{os.environ['PATH']}",
        }
        return subprocess.run(
            [str(program), "-i", str(inventory), str(playbook), *words],
            cwd=self.folder,
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
        )

    def tasks(self, host: str, files: str, *words: str, **variables: Any) -> subprocess.CompletedProcess[str]:
        """Files of tasks of postmask_mx."""
        included = [
            {"ansible.builtin.include_role": {"name": "postmask_mx", "tasks_from": name}}
            for name in files.split()
        ]
        playbook = self.folder / "playbook.yml"
        playbook.write_text(json.dumps([{"hosts": host, "gather_facts": False, "tasks": included}]))
        return self.play(playbook, *words, **{"postmask_mx_askable": True} | variables)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_what_it_needs_comes_by_its_hash(site: Site) -> None:
    """First what builds; a wheelhouse, or no list, has no hashes."""
    pip = site.folder / "venv/bin/pip"
    pip.write_text(
        f'#!/bin/sh\necho "$*" >> {site.folder}/pip\ncase $* in *stdin) grep == >> {site.folder}/pip; esac\n'
    )
    pip.chmod(0o755)
    (site.folder / "venv/wheels").mkdir()
    (site.folder / "lock").write_text(
        "cffi==2.1 \\\n    --hash=a \\\n    --hash=b\nsetuptools==84 \\\n    --hash=c\n"
    )
    told = {
        "postmask_mx_said": {"rc": 0},
        "postmask_mx_installed": False,
        "postmask_mx_checksum": "",
        "postmask_mx_lock": str(site.folder / "lock"),
        "postmask_mx_upgrade": True,
    }
    pinned = "install --quiet --require-hashes --no-build-isolation --requirement /dev/stdin"
    builds, needs = "setuptools==84 \\", "cffi==2.1 \\"
    newest = "install --quiet --upgrade --upgrade-strategy eager postmask"
    (site.folder / "wheelhouse").mkdir()
    for more, wanted in (
        ({}, [pinned, builds, pinned, needs, builds, "install --quiet --upgrade postmask"]),
        (
            {"postmask_mx_wheelhouse": str(site.folder / "wheelhouse")},
            ["install --quiet --force-reinstall postmask"],
        ),
        ({"postmask_mx_lock": ""}, [newest]),
    ):
        done = site.tasks(FIRST, "install.yml", **told | more)
        assert done.returncode == 0, done.stdout
        assert (site.folder / "pip").read_text().splitlines() == wanted
        (site.folder / "pip").unlink()


@pytest.mark.timeout(900)
def test_an_earlier_version_comes_back_with_what_it_needed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of what lies in its wheelhouse, also where the one before had newer ones."""
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    (site.folder / "venv/bin/postmask").unlink()
    (site.folder / "venv/wheels").mkdir()
    told = {"postmask_mx_said": {"rc": 0}, "postmask_mx_checksum": "", "postmask_mx_upgrade": True}
    for version in ("2.0", "1.0"):
        wheelhouse = site.folder / version
        wheelhouse.mkdir()
        for name in ("postmask", "needed"):
            _make_wheel(wheelhouse, name, version)
        done = site.tasks(
            FIRST,
            "install.yml",
            **told,
            postmask_mx_installed=False,
            postmask_mx_wheelhouse=str(wheelhouse),
            postmask_mx_version=version,
        )
        assert done.returncode == 0, done.stdout
        listed = subprocess.run(
            [str(site.folder / "venv/bin/pip"), "freeze", "--disable-pip-version-check"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert re.findall("(?m)^(needed|postmask)[ =@].*-?([12].0)", listed.stdout) == [
            ("needed", version),
            ("postmask", version),
        ]


def _make_wheel(folder: Path, name: str, version: str) -> None:
    """One that needs the package "needed"."""
    info = f"{name}-{version}.dist-info"
    told = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as made:
        made.writestr(f"{name}.py", "")
        made.writestr(f"{info}/METADATA", told + ("Requires-Dist: needed\n" if name != "needed" else ""))
        made.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        made.writestr(f"{info}/RECORD", "")


def test_no_host_is_drained_for_a_wheel_that_is_not_there(site: Site) -> None:
    wheel = site.folder / "postmask-2.whl"
    done = site.tasks(FIRST, "drain.yml", postmask_mx_wheel=str(wheel))
    assert done.returncode == 2
    assert f"{wheel} isn't on the control machine" in done.stdout
    assert not (site.folder / "called").exists()
    wheel.write_text("")
    done = site.tasks(
        FIRST, "drain.yml", postmask_mx_wheel=str(wheel), postmask_mx_wheelhouse=str(site.folder)
    )
    assert done.returncode == 0, done.stdout
    assert site.called() == ["node drain --wait --timeout 5m"]


def test_an_upgrade(site: Site) -> None:
    """An older schema is brought up to date, SQLite's too; a program that doesn't answer yet is waited for,
    and neither a warning nor another node is a reason to stay drained."""
    (site.folder / "severity").write_text("warning")
    (site.folder / "schema").write_text('{"state": "behind"}')
    done = site.tasks(FIRST, "schema.yml check.yml")
    assert done.returncode == 0, done.stdout
    assert site.called() == ["db status --json", "db upgrade", "status --json", "status --json"]


def test_what_stays_amiss(site: Site) -> None:
    (site.folder / "severity").write_text("error")
    done = site.tasks(FIRST, "check.yml resume.yml", postmask_mx_patience=3)
    assert done.returncode == 2, done.stdout
    assert "postmask status: it hangs" in done.stdout
    assert site.called() == ["status --json", "status --json"], "it stays drained"


def test_no_empty_database_takes_the_place_of_one_that_was_lost(site: Site) -> None:
    (site.folder / "schema").write_text('{"state": "missing"}')
    (site.folder / "replica").mkdir()
    (site.folder / "replica/directory").write_text("directory.1.db")
    done = site.tasks(FIRST, "schema.yml", postmask_mx_database_url=URL)
    assert done.returncode == 2, done.stdout
    assert "restore.yml brings a copy back" in done.stdout
    assert "db init" not in site.called()


def test_nor_that_of_an_sqlite(site: Site) -> None:
    (site.folder / "postmask.db").write_text("")
    configured = {"results": [{}, {"stat": {"exists": True}}]}
    done = site.tasks(FIRST, "configuration.yml", postmask_mx_database_url=URL, postmask_mx_found=configured)
    assert done.returncode == 2, done.stdout
    assert "move_db.yml moves it there" in " ".join(done.stdout.split())
    assert not site.config.exists()


def test_the_password_of_an_engine_is_not_told(site: Site) -> None:
    settings = [{"rspamd": {"password": SECRET}}]
    words = ("--check", "--diff", "-vvv")
    done = site.tasks(FIRST, "configuration.yml", *words, postmask_mx_settings_of_roles=settings)
    assert done.returncode == 0, done.stdout
    assert "TASK [postmask_mx : Configuration]" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_master_secrets_come_from_the_first_exchanger(site: Site) -> None:
    """The second would make others, if it went on without them."""
    done = site.tasks(SECOND, "keys.yml")
    assert done.returncode == 2, done.stdout
    assert f"{FIRST} has no master secrets" in done.stdout


def test_while_it_is_down_the_others_keep_those_that_they_have(site: Site) -> None:
    ssh = site.folder / "ssh"
    ssh.write_text("#!/bin/sh\nexit 255\n")
    ssh.chmod(0o755)
    site.first |= {"ansible_connection": "ssh", "ansible_ssh_executable": str(ssh)}
    (site.folder / "keys").write_text(SECRET)
    done = site.tasks(SECOND, "keys.yml")
    assert done.returncode == 0, done.stdout
    assert f"{SECOND} -> {FIRST}]: UNREACHABLE!" in done.stdout
    assert (site.folder / "keys").read_text() == SECRET


def test_why_the_database_could_not_be_moved(site: Site) -> None:
    """But not by which passwords it was tried."""
    site.config.parent.mkdir()
    site.config.write_text("")
    urls = {"postmask_mx_database_url": URL, "postmask_mx_database_owner_url": URL}
    done = site.play(ROOT / "ansible/move_db.yml", "-vvv", **urls)
    assert done.returncode != 0
    assert site.called() == ["db move --to - --nodes-to - --json"]
    assert "there is no room" in done.stdout
    assert SECRET not in done.stdout + done.stderr


def test_a_variable_that_no_role_reads(site: Site) -> None:
    """Of the inventory's, of one host's, and of the command line's; nobody is played then."""
    site.first |= {"postmask_db_conections": 7}
    words = ("-e", "postmask_backup_recipient=age1")
    done = site.play(ROOT / "ansible/names.yml", *words, postmask_mx_databse_url="{{ vault }}")
    assert done.returncode != 0
    wrong = "postmask_backup_recipient, postmask_db_conections, postmask_mx_databse_url"
    assert f"No role reads {wrong}. " in done.stdout
    site.first.clear()
    mine = {"my_postmask_mx_url": URL, "postmask_mx_database": URL, "postmask_mx_database_url": "{{ vault }}"}
    done = site.play(ROOT / "ansible/names.yml", "-e", "postmask_backup_fetch=copies", **mine)
    assert done.returncode == 0, done.stdout


def test_one_more_that_the_inventory_has_not(site: Site) -> None:
    for wrong in ("mx3.host.test", "localhost"):
        done = site.play(ROOT / "ansible/add_mx.yml", "--check", "-e", f"mx={wrong}")
        assert done.returncode != 0
        assert f"The inventory has no {wrong} among its mail exchangers" in done.stdout


def test_no_other_mail_server_is_replaced(site: Site) -> None:
    there = "postfix installed mail-transport-agent\nexim4 config-files mail-transport-agent\n"
    (site.folder / "mark").write_text("")
    words = ("--check", "-e", f"postmask_mx_setting_up={site.folder}/mark")
    for other, refused in ("", False), ("msmtp-mta installed mail-transport-agent, sendmail\n", True):
        program = site.folder / "dpkg-query"
        program.write_text(f"#!/bin/sh\ncat <<end\n{there}{other}end\n")
        program.chmod(0o755)
        done = site.tasks(FIRST, "postfix.yml", *words)
        assert ("It is ours to set up" in done.stdout) is not refused, done.stdout
        assert ("msmtp-mta takes this host's mail" in done.stdout) is refused, done.stdout


def test_what_is_there_by_another_spelling_or_was_removed_is_not_added_again(site: Site) -> None:
    """Each further play, an upgrade with its host drained too, ended with "is one of our domains already"."""
    program = Path(sys.executable).with_name("postmask")
    (site.folder / "venv/bin/postmask").write_text(f'#!/bin/sh\nexec {program} "$@"\n')
    site.config.parent.mkdir()
    site.config.write_text(
        f'[database]\nurl = "sqlite:///{site.folder}/postmask.db"\n[keys]\nfile = "{site.folder}/keys"\n'
        f'[postfix]\nconfig_dir = "{site.folder}"\n'
    )

    def postmask(*words: str) -> str:
        command = [str(program), "--config", str(site.config), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def played() -> list[str]:
        told = site.tasks(
            FIRST,
            "directory.yml",
            postmask_mx_domains=[{"name": "Bücher.test", "postmaster": "me@real.test"}],
            postmask_mx_mailboxes=[{"address": "Me@bücher.example", "verified": True}],
            postmask_mx_aliases=[
                {"address": "Shop@bücher.test", "to": ["Me@bücher.example"]},
                {"address": "gone@bücher.test", "to": ["Me@bücher.example"]},
            ],
        )
        assert told.returncode == 0, told.stdout
        return re.findall(r"(?m)^changed: .*\(item=(.*)\)$", told.stdout)

    postmask("keys", "init")
    postmask("db", "init")
    assert len(played()) == 4
    postmask("alias", "remove", "gone@bücher.test")
    assert played() == []
    assert "gone@" not in postmask("alias", "list")
