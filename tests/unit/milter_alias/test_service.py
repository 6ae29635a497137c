"""A milter's process: what it does when libmilter or a signal ends it."""

from __future__ import annotations

import os
import socket
import threading
from queue import SimpleQueue

import pytest

from postmask_milter import service
from postmask_milter.adapter import Kind, MilterError, Running, alias_milter
from postmask_milter.service import MilterPart, Service


class Played:
    """Signals that come when they are sent."""

    def __init__(self) -> None:
        self._sent: SimpleQueue[None] = SimpleQueue()

    def wait(self) -> None:
        self._sent.get(timeout=30)

    def send(self) -> None:
        self._sent.put(None)


class Part:
    """One of which is noted what becomes of it."""

    def __init__(self, name: str, told: list[str]) -> None:
        self._name = name
        self._told = told

    def start(self) -> None:
        self._told.append(f"{self._name} starts")

    def close(self, timeout: float) -> bool:
        self._told.append(f"{self._name} closes")
        return True


@pytest.mark.parametrize("status", [0, os.EX_SOFTWARE], ids=["libmilter ends", "libmilter gives up"])
def test_the_end_of_libmilter_is_the_end_of_the_process(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    left: SimpleQueue[int] = SimpleQueue()

    def serve(_kind: Kind, _listener: socket.socket) -> None:
        if status:
            raise MilterError("cannot start")

    monkeypatch.setattr(service, "serve", serve)
    monkeypatch.setattr(service, "leave", left.put)
    signals, running = Played(), Running()
    with socket.socket() as listener:
        kind = alias_milter(lambda *_: None, running)
        milter = MilterPart(kind, (), running, listener, signals)  # type: ignore[arg-type]  played
        parts = (Part("first", told), Part("second", told), milter)
        whole = Service("it", milter, parts, signals, told.append, 1.0)  # type: ignore[arg-type]  played
        ended: list[int] = []
        process = threading.Thread(target=lambda: ended.append(whole.run()))
        process.start()
        assert left.get(timeout=30) == status
        assert told == [
            "first starts",
            "second starts",
            "READY=1",
            "STOPPING=1",
            "second closes",
            "first closes",
        ]
        assert not ended, "it is drained, unless a second signal comes"
        signals.send()
        process.join(30)
        assert ended == [1]
