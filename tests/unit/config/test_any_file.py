"""Whatever stands in the file: settings or a ConfigError with a line for each problem, nothing else."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from postmask.config import ConfigError, read, shown
from postmask.config.declare import declared
from postmask.config.sections import SECTIONS
from postmask.config.showing import toml

FILE = Path("/etc/postmask/postmask.toml")
NAMES = [setting.name for setting in declared(SECTIONS)]

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
plausible = st.sampled_from(
    [
        "pipe",
        "debug",
        "/x",
        "sqlite:////x",
        "postgresql://a:secret@[b/c",
        "192.0.2.1:53",
        "a@b",
        "[::1]:99999",
        "::1",
    ]
)
scalars = texts | plausible | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2)
)


def outcome(text: str) -> None:
    problems: tuple[str, ...] = ()
    try:
        settings = read(text, FILE, {})
    except ConfigError as error:
        problems = error.problems
        message = str(error)
    else:
        message = ""
        assert [setting.name for setting in shown(settings)] == NAMES
    assert len(message.splitlines()) == len(problems)
    assert all(line.isprintable() for line in message.splitlines())


@given(st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
def test_any_value_of_any_setting(given_values: dict[str, object]) -> None:
    outcome("".join(f"{name} = {toml(value)}\n" for name, value in given_values.items()))


@given(st.dictionaries(texts, values, max_size=3))
def test_any_key(given_values: dict[str, object]) -> None:
    outcome("".join(f"{toml(name)} = {toml(value)}\n" for name, value in given_values.items()))


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.text("[]{}=\"'.,#\n1a", max_size=40))
def test_any_text(text: str) -> None:
    with contextlib.suppress(ConfigError):
        read(text, FILE, {})
