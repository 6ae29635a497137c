"""The manuals come with the package: units and `--help` name them on hosts that have nothing else."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_wheel_has_every_manual() -> None:
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    pages = {page.name: page.suffix.removeprefix(".") for page in (ROOT / "docs/man").iterdir()}
    assert built["shared-data"] == {
        f"docs/man/{name}": f"share/man/man{section}/{name}" for name, section in pages.items()
    }
