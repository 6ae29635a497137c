"""The scan milter as it is put together: no question of its keeps a session, which may be anybody's."""

import socket
import threading
from typing import Any, cast

import Milter
import pytest

from postmask.clock import SystemClock
from postmask_milter import scan_service
from postmask_milter.adapter import Kind, ScanMilter
from postmask_milter.examiner import Examiner
from postmask_milter.signals import Signals
from postmask_milter.workers import Workers


class Stuck:
    """An examiner whose directory doesn't answer until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def all_ours(self, _recipients: object) -> bool:
        self.let_go.wait(30)
        return True


class Part:
    """In the place of libmilter, of which a process has but one: what it would be given."""

    kind: Kind

    def __init__(self, kind: Kind, workers: tuple[Workers, ...], *_more: object) -> None:
        Part.kind = kind
        for pool in workers:
            pool.start()


def test_recipients_that_cant_be_looked_up_in_time_are_nobodys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_service, "MilterPart", Part)
    stuck = Stuck()
    scan_service.assemble(
        cast(Examiner, stuck),
        (),
        SystemClock(),
        budget=10.0,
        lookup=0.05,
        most=1,
        size_limit=1000,
        listener=cast(socket.socket, None),
        signals=cast(Signals, None),
        notify=cast(Any, None),
    )
    milter = cast(ScanMilter, Part.kind.session())
    answer = milter.data()
    stuck.let_go.set()
    assert answer == Milter.ACCEPT
