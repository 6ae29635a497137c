"""The message parsers against mutated seeds, longer than the unit tests do it.

Run with `pytest tests/fuzz`. What it finds goes into seeds/message as a file, and is a test from then on.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from message_cases import OWNERS, forwarded, replied
from message_strategies import messages, values
from postmask.message.dsn import parse
from postmask.message.headers import split
from postmask.message.mime import walk

_SEEDS = sorted(path for path in (Path(__file__).parent / "seeds" / "message").iterdir() if path.suffix == "")
_GOLDEN = sorted((Path(__file__).parents[1] / "golden").glob("*/*.in"))


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    """A seed in which some runs of octets are cut out, repeated or replaced."""
    data = draw(st.sampled_from([*_SEEDS, *_GOLDEN])).read_bytes()
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 40)))
        data = data[:start] + draw(st.one_of(values, st.just(data[start:end] * 2))) + data[end:]
    return data


def _try(data: bytes) -> None:
    headers, body = split(data)
    assert forwarded(data).endswith(body)
    walk(headers, body)
    parse(headers, body)
    result = replied(data)
    for header in (split(forwarded(data))[0], result.headers):
        raw = header.to_bytes()
        assert all(len(line) <= 998 for line in raw.split(b"\r\n"))
        assert not re.search(rb"\0|\r(?!\n)|(?<!\r)\n|\n[ \t]*\r\n", raw)
        assert len(header.get_all("from")) == 1
    if not result.findings:
        out = (result.headers.to_bytes() + result.body).lower()
        for owner in OWNERS:
            assert not re.search(rb"(?<![a-z0-9._+-])" + re.escape(owner.encode()) + rb"(?![a-z0-9.-])", out)


@pytest.mark.parametrize("seed", _SEEDS, ids=lambda path: path.name)
def test_seeds(seed: Path) -> None:
    _try(seed.read_bytes())


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(_mutated())
def test_mutated_seeds(data: bytes) -> None:
    _try(data)


@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(messages)
def test_made_up_messages(data: bytes) -> None:
    _try(data)
