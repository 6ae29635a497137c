"""Bad configuration files: bad/NAME.toml is refused with the lines in bad/NAME.error ("*" at an end: any)."""

from __future__ import annotations

from pathlib import Path

import pytest

from postmask.config import ConfigError, load

FOLDER = Path(__file__).parent / "bad"


@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.toml")), ids=lambda file: file.stem)
def test_refusal(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    expected = file.with_suffix(".error").read_text().splitlines()
    for problem, line in zip(caught.value.problems, expected, strict=True):
        assert problem == line or (line.endswith("*") and problem.startswith(line[:-1]))
    assert all(line.startswith(f"{file}: ") for line in str(caught.value).splitlines())
    assert "secret" not in str(caught.value)


def test_no_file_is_left_without_its_pair() -> None:
    names = {file.stem for file in FOLDER.glob("*.toml")}
    assert {file.stem for file in FOLDER.glob("*.error")} == names
