"""The units by systemd's own judgement."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from postmask.config import read
from postmask_postfix.system.units import UnitError
from postmask_postfix.system.wanted import Postfix, Wanted, wanted

POSTFIX = Postfix("postfix", "postfix", "postdrop", "/var/spool/postfix")
ONE_SHOTS_OF_ROOT = {"postmask-held-expire.service", "postmask-postfix-sync.service"}


def of(text: str = "") -> Wanted:
    settings = read(text, Path("/etc/postmask/postmask.toml"), {})
    return wanted(settings, Path("/var/lib/postmask/postmask.db"), Path(sys.executable).parent, POSTFIX)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("units")
    for name, text in of().units.items():
        (folder / name).write_text(text)
    return folder


def analysed(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True)


def test_systemd_understands_every_line(folder: Path) -> None:
    done = analysed("verify", "--man=no", *sorted(folder.iterdir()))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_line_that_systemd_does_not_understand_would_be_seen(folder: Path, tmp_path: Path) -> None:
    text = (folder / "postmask-agent.service").read_text()
    (tmp_path / "postmask-agent.service").write_text(text.replace("PrivateTmp=yes", "PrivateTpm=yes"))
    assert "PrivateTpm" in analysed("verify", "--man=no", tmp_path / "postmask-agent.service").stderr


@pytest.mark.parametrize(
    "name", sorted({n for n in of().units if n.endswith(".service")} - ONE_SHOTS_OF_ROOT)
)
def test_a_program_may_do_little(folder: Path, name: str) -> None:
    """An exposure of 3.0 of 10 at most."""
    done = analysed("security", "--offline=true", "--threshold=30", "--no-pager", folder / name)
    assert done.returncode == 0, done.stdout


def test_a_clock_that_leaps_ahead_starts_no_expiry() -> None:
    assert "OnCalendar" not in of().units["postmask-held-expire.timer"]


def test_only_who_needs_the_secrets_is_given_them() -> None:
    units = of().units
    given = {name for name, text in units.items() if "LoadCredential=keys:/etc/postmask/keys" in text}
    assert given == {f"postmask-{name}.service" for name in ("milter-alias", "milter-scan", "forwarder")}


def test_the_sockets_are_where_the_programs_expect_them() -> None:
    """systemd hands them over by the names under which postmask.daemon looks for them."""
    units = of('[sockets]\ndirectory = "/srv/queue/postmask"\n').units
    for name in ("gate", "forwarder"):
        lines = units[f"postmask-{name}.socket"].splitlines()
        assert f"ListenStream=/srv/queue/postmask/{name}.sock" in lines
        assert f"FileDescriptorName={name}.sock" in lines


def test_folders_of_the_settings_may_be_written_to() -> None:
    units = of('[spool]\npath = "/srv/a/spool.db"\n[replica]\ndirectory = "/srv/a/replica"\n').units
    assert "ReadWritePaths=/srv/a /var/lib/postmask\n" in units["postmask-agent.service"]
    assert "PathExists=/srv/a/replica/domains.untold\n" in units["postmask-postfix-sync.path"]


def test_the_mark_is_gone_before_anything_is_told() -> None:
    """What is added while Postfix is being told leaves it again, and systemd looks when the service ends."""
    units = of('[replica]\ndirectory = "/srv/replica"\n').units
    lines = units["postmask-postfix-sync.service"].splitlines()
    begun = [line.partition("=")[2].split()[0] for line in lines if line.startswith("Exec")]
    assert "ExecCondition=/bin/rm -f /srv/replica/domains.untold" in lines
    assert begun[:2] == ["/bin/rm", "/bin/sh"]


@pytest.mark.parametrize("path", ["/srv/a b", "/srv/%h", "/srv/$HOME", "/srv/a\nUser=root"])
def test_what_cannot_stand_in_a_unit_is_refused(path: str) -> None:
    quoted = path.replace("\n", "\\n")
    with pytest.raises(UnitError):
        of(f'[sockets]\ndirectory = "{quoted}"\n')
