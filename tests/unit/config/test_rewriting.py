"""Other values in the configuration file: nothing else in it is touched."""

from __future__ import annotations

import errno
import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postmask.config import ConfigError, load, rewrite, rewritten
from postmask.config.watching import DatabaseWatch

FILE = Path("/etc/postmask/postmask.toml")
VALUES = {"url": 'postgresql://u:a"b\\c@db/é', "owner_url": "postgresql://o:p@db/x"}

GOOD = {
    "in the middle": (
        '# top\n[node]\nname = "a"\n\n[ database ] # here\n# old\nurl = "x" # keep\n\n[keys]\n',
        '# top\n[node]\nname = "a"\n\n[ database ] # here\nowner_url = O\n# old\nurl = U # keep\n\n[keys]\n',
    ),
    "both": ("[database]\nowner_url='x'\n\"url\"\t=\t'y'", '[database]\nowner_url=O\n"url"\t=\tU'),
    "nothing": ("", "[database]\nurl = U\nowner_url = O\n"),
    "no such section": ("[keys]\n", "[keys]\n\n[database]\nurl = U\nowner_url = O\n"),
    "no line's end": ("# end", "# end\n\n[database]\nurl = U\nowner_url = O\n"),
    "header alone": ("[database]", "[database]\nurl = U\nowner_url = O\n"),
    "from Windows": (
        '\ufeff[database]\r\nurl = "x" # y\r\n',
        "\ufeff[database]\nowner_url = O\nurl = U # y\r\n".replace("]\n", "]\r\n"),
    ),
    "a name in a string": (
        '[database]\nurl = "x"\n[mail]\nnotices_from = """\n[database]"""\n',
        '[database]\nowner_url = O\nurl = U\n[mail]\nnotices_from = """\n[database]"""\n',
    ),
}

BAD = {
    "inline": 'database = {url = "x"}\n',
    "dotted": 'database.url = "x"\n',
    "several lines": '[database]\nurl = """x"""\n',
    "in a string": 'x = """\n[database]\nurl = "x"\n"""\n',
    "quoted header": '["database"]\nurl = "x"\n',
}


def written(text: str) -> str:
    """U and O stand for the new values."""
    owner, url = '"postgresql://o:p@db/x"', '"postgresql://u:a\\"b\\\\c@db/é"'
    return (
        text.replace("= O", f"= {owner}")
        .replace("=O", f"={owner}")
        .replace("= U", f"= {url}")
        .replace("=\tU", f"=\t{url}")
    )


@pytest.mark.parametrize("name", GOOD)
def test_all_else_stays(name: str) -> None:
    before, after = GOOD[name]
    assert rewritten(before, FILE, "database", VALUES) == written(after)


@pytest.mark.parametrize("name", BAD)
def test_what_only_a_person_can_change(name: str) -> None:
    with pytest.raises(ConfigError, match="by hand"):
        rewritten(BAD[name], FILE, "database", VALUES)


@given(st.text(), st.text(alphabet="[]database url=\"'#\n\\"))
def test_any_value_and_any_file(value: str, text: str) -> None:
    """What is read afterwards is what was meant, or nothing is written."""
    try:
        before = tomllib.loads(text)
        after = tomllib.loads(rewritten(text, FILE, "database", {"url": value}))
    except (tomllib.TOMLDecodeError, ConfigError):
        return
    assert after.pop("database")["url"] == value
    before.pop("database", None)
    assert after == before


def test_the_file_keeps_owner_and_mode(tmp_path: Path) -> None:
    real, link = tmp_path / "real.toml", tmp_path / "link.toml"
    real.write_text("[node]\n")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 65534, 65534)
    before = real.stat()
    link.symlink_to(real)
    rewrite(link, "database", {"url": "x"})
    after = real.stat()
    assert link.is_symlink()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert real.read_text() == '[node]\n\n[database]\nurl = "x"\n'
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.toml", "real.toml"]


def test_a_failed_exchange_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "postmask.toml"
    file.write_text("[node]\n")

    def failing(_descriptor: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="disk full"):
        rewrite(file, "database", {"url": "x"})
    assert [path.read_text() for path in tmp_path.iterdir()] == ["[node]\n"]


def test_another_database_is_noticed(tmp_path: Path) -> None:
    file = tmp_path / "postmask.toml"
    file.write_text('[database]\nurl = "sqlite:////a/b"\n')
    watch = DatabaseWatch(load(file, {}))
    assert watch.look() is None
    rewrite(file, "node", {"name": "other.test"})
    assert watch.look() is None
    rewrite(file, "database", {"url": "sqlite:////a/c"})
    for _ in range(2):
        found = watch.look()
        assert found is not None
        assert found.database.url == "sqlite:////a/c"
    watch.settle(found)
    assert watch.look() is None
    rewrite(file, "database", {"url": "sqlite:////a/b"})
    assert watch.look() is not None
    file.unlink()
    assert watch.look() is not None


def test_a_file_that_could_not_be_read_once_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the database that it names would never be taken up."""
    file = tmp_path / "postmask.toml"
    file.write_text('[database]\nurl = "sqlite:////a/b"\n')
    watch = DatabaseWatch(load(file, {}))
    rewrite(file, "database", {"url": "sqlite:////a/c"})

    def exhausted(path: Path) -> bytes:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", exhausted)
        assert [watch.look(), watch.look()] == [None, None]
    assert len(caplog.records) == 1
    found = watch.look()
    assert found is not None
    assert found.database.url == "sqlite:////a/c"
