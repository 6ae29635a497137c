"""The fingerprint of the secrets, as the programs that have them tell it to the one that hasn't."""

from __future__ import annotations

from pathlib import Path

from postmask.keys import Keyring, Secret
from postmask.keys.fingerprint import publish_fingerprint, published_fingerprint

ONE = Keyring([Secret(1, "2026-01-01", bytes(32))])
TWO = Keyring([Secret(1, "2026-01-01", bytes(32)), Secret(2, "2026-01-01", b"2" * 32)])


def test_the_last_word_counts(tmp_path: Path) -> None:
    assert published_fingerprint(tmp_path) is None
    publish_fingerprint(tmp_path, ONE)
    assert published_fingerprint(tmp_path) == ONE.fingerprint
    file = tmp_path / "fingerprint.json"
    before = file.stat().st_ino
    publish_fingerprint(tmp_path, ONE)
    assert file.stat().st_ino == before
    publish_fingerprint(tmp_path, TWO)
    assert published_fingerprint(tmp_path) == TWO.fingerprint
    file.write_text("{")
    assert published_fingerprint(tmp_path) is None


def test_it_stops_nothing(tmp_path: Path) -> None:
    publish_fingerprint(tmp_path / "none", ONE)
    assert published_fingerprint(tmp_path / "none") is None
