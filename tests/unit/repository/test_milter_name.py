"""pymilter installs `milter`, `Milter` and `mime`; a folder of ours by one of these names hides it."""

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[3]
COMPONENTS = ("core", "milter", "pipe_transport", "postfix_conf", "ansible")


def test_the_name_milter_is_pymilters_extension() -> None:
    spec = importlib.util.find_spec("milter")
    assert spec is not None
    assert spec.origin is not None
    assert spec.origin.endswith(".so")


def test_component_folders_are_no_packages() -> None:
    assert [name for name in COMPONENTS if (ROOT / name / "__init__.py").exists()] == []


def test_the_tests_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_no_folder_of_tests_is_called_milter() -> None:
    folders = [path for path in (ROOT / "tests").rglob("*") if path.is_dir()]
    assert [path for path in folders if path.name.lower() in {"milter", "mime"}] == []
