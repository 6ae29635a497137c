"""What is said of a program that can't be used."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from postmask.cli import programs
from postmask.cli.programs import Program, silence


@pytest.fixture
def program(tmp_path: Path) -> Program:
    return Program("x", tmp_path / "x.sock", b"hello\n", b"bye\n")


@contextlib.contextmanager
def bound(program: Program) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(program.path))
        yield listener


def test_nothing_there(program: Program) -> None:
    assert "isn't there" in silence(program)


def test_nobody_listens(program: Program) -> None:
    with bound(program):
        assert "nobody listens" in silence(program)


def test_taken_by_the_kernel_alone(program: Program, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_SECONDS", 0.1)
    with bound(program) as listener:
        listener.listen()
        assert "it hangs, or can open no connection more (out of descriptors, say)" in silence(program)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (b"", "without a word"),
        (b"4", ""),
        (b"421 4.7.0 this socket is for Postfix alone\r\n", ""),
        (b"421 4.3.2 no thread left, try again\r\n", "turns mail away (421 4.3.2 no thread left, try again)"),
        (b"action=450 4.3.2 too busy, try again later\n\n", "turns mail away (action=450 4.3.2 too busy"),
        (b"action=451 4.3.0 try again later\n\n", ""),
    ],
)
def test_an_answer(program: Program, answer: bytes, told: str) -> None:
    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            assert connection.recv(100) == b"hello\n"
            connection.sendall(answer)

    with bound(program) as listener:
        listener.listen()
        server = threading.Thread(target=serve)
        server.start()
        said = silence(program)
        server.join()
    assert (told in said) if told else said == ""


def test_a_refusal_is_an_answer_from_one_who_has_hung_up(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = socket.socketpair()
    with there:
        there.sendall(b"421 4.7.0 this socket is for Postfix alone\r\n")
    monkeypatch.setattr("postmask.daemon.connect_unix", lambda path, seconds: here)
    assert silence(replace(program, begin=b"")) == ""
