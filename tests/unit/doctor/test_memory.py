"""What differs from the last run."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask.doctor import memory
from postmask.doctor.examination import Examined
from postmask.doctor.finding import Finding, error
from postmask.doctor.memory import LARGEST, Known
from postmask.nodefile import NodeFile

FLAT = error("PM997", "A tyre is flat.", "It won't roll.", "Pump it up.")
FRONT, REAR = Known("wheels", "PM997", "front", "0.1 bar"), Known("wheels", "PM997", "rear", "0.2 bar")


def file(folder: Path) -> NodeFile:
    return NodeFile(folder, "doctor.json", most=LARGEST)


def examined(*findings: Finding, complete: bool = True, group: str = "wheels") -> list[Examined]:
    return [Examined(group, findings, complete)]


def test_at_first_all_is_new() -> None:
    found = examined(FLAT.at("front", "0.1 bar"))
    changes = memory.compare((), found)
    assert changes.new == tuple(found)
    assert (changes.gone, changes.known) == ((), (FRONT,))


def test_what_was_there_is_not_new_though_its_figures_differ() -> None:
    changes = memory.compare([FRONT], examined(FLAT.at("front", "0.3 bar"), FLAT.at("rear", "0.2 bar")))
    assert changes.new[0].findings == (FLAT.at("rear", "0.2 bar"),)
    assert changes.gone == ()


def test_what_is_no_longer_found_is_gone() -> None:
    changes = memory.compare([FRONT, REAR], examined(FLAT.at("rear", "0.2 bar")))
    assert (changes.new[0].findings, changes.gone, changes.known) == ((), (FRONT,), (REAR,))


@pytest.mark.parametrize("other", [examined(complete=False), examined(group="brakes")])
def test_what_was_not_looked_at_is_neither_gone_nor_forgotten(other: list[Examined]) -> None:
    changes = memory.compare([FRONT], other)
    assert (changes.gone, changes.known) == ((), (FRONT,))


def test_the_file_brings_back_what_was_written(tmp_path: Path) -> None:
    memory.write(file(tmp_path), [FRONT])
    memory.write(file(tmp_path), [FRONT, Known("a", "b", "\udcff", '"')])
    assert memory.read(file(tmp_path)) == (FRONT, Known("a", "b", "\udcff", '"'))
    assert [file.name for file in tmp_path.iterdir()] == ["doctor.json"]


@pytest.mark.parametrize(
    "noise",
    [
        b"",
        b"\xff\x00noise",
        b"{}",
        b"[]",
        b"null",
        b'{"version": 2, "known": []}',
        b'{"version": 1}',
        b'{"version": 1, "known": 3}',
        b'{"version": 1, "known": [3]}',
        b'{"version": 1, "known": [["a", "b", "c"]]}',
        b'{"version": 1, "known": [["a", "b", "c", 4]]}',
        b"[" * 200_000,
    ],
)
def test_noise_means_that_all_is_new(tmp_path: Path, noise: bytes) -> None:
    (tmp_path / "doctor.json").write_bytes(noise)
    assert memory.read(file(tmp_path)) == ()


def test_a_file_that_cannot_be_read_means_that_all_is_new(tmp_path: Path) -> None:
    assert memory.read(file(tmp_path / "none")) == ()
    (tmp_path / "doctor.json").mkdir()
    assert memory.read(file(tmp_path)) == ()


def test_many_findings_are_remembered_too(tmp_path: Path) -> None:
    many = tuple(Known("dns", "PM424", f"domain{number}.test", "no DMARC record") for number in range(9_000))
    memory.write(file(tmp_path), many)
    assert memory.read(file(tmp_path)) == many


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        memory.write(file(tmp_path / "none"), [])
