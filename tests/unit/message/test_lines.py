"""Long lines are folded where smtp(8) would fold them."""

from __future__ import annotations

import pytest

from postmask.message.lines import fold_long


def _as_postfix(body: bytes) -> bytes:
    """smtp(8): 998 octets, CRLF, a blank, 997 octets, …"""
    lines = []
    for line in body.split(b"\r\n"):
        pieces, rest, room = [], line, 998
        while len(rest) > room:
            pieces.append(rest[:room])
            rest, room = rest[room:], 997
        lines.append(b"\r\n ".join([*pieces, rest]))
    return b"\r\n".join(lines)


@pytest.mark.parametrize("length", [0, 1, 997, 998, 999, 1000, 1995, 1996, 2000, 5000])
@pytest.mark.parametrize("before", [b"", b"short\r\n", b"x" * 998 + b"\r\n", b"y" * 3000 + b"\r\n"])
@pytest.mark.parametrize("after", [b"", b"\r\n", b"\r\nend", b"\r\n" + b"z" * 1500])
def test_fold_long(before: bytes, length: int, after: bytes) -> None:
    body = before + b"l" * length + after
    folded = fold_long(body)
    assert folded == _as_postfix(body)
    assert max(map(len, folded.split(b"\r\n"))) <= 998


def test_a_body_without_long_lines_is_the_same_object() -> None:
    body = (b"x" * 998 + b"\r\n") * 100 + b"\r\n\r\nlast"
    assert fold_long(body) is body
