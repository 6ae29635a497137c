"""A node's replica for tests: the follower as in the agent, and the directory as the programs open it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import replicas
from postmask.agent.replica.follower import Follower
from postmask.clock import Clock, ManualClock, SystemClock
from postmask.daemon import Stop
from postmask.directory.replica import Replica, ReplicaDirectory
from postmask.directory.truth import Asker
from postmask.store import roles
from postmask.store.directory import SqlDirectory
from postmask.store.engine import Use, make_engine, parse_url
from postmask.store.replica.folder import Folder
from truth import Truth

POLL = 2.0


def node_url(truth: Truth) -> str:
    """The URL of a node of its own role."""
    role = f"{parse_url(truth.url).username}_node"
    roles.grant_node_role(truth.engine, role, "secret")
    url = parse_url(truth.url).set(username=role, password="secret")
    return url.render_as_string(hide_password=False)


class ReplicaNode:
    """One node. A context manager: what follows is stopped at its end."""

    def __init__(self, url: str, path: Path, clock: Clock | None = None) -> None:
        self.url = url
        self.folder = Folder(path)
        self.clock = clock or SystemClock()
        self._following: list[tuple[Stop, threading.Thread]] = []

    def follow(self, poll: float = POLL) -> None:
        """Begin, as the agent does when it is started."""
        stop = Stop()
        follower = Follower(make_engine(self.url, Use.FEED), self.folder, self.clock, stop, poll)
        thread = threading.Thread(target=follower.run, name="follower")
        thread.start()
        self._following.append((stop, thread))

    def stop(self) -> None:
        """End it, as a signal to the agent does."""
        for stop, thread in self._following:
            stop.request()
            thread.join(30)
            assert not thread.is_alive()
        self._following.clear()

    def directory(self) -> ReplicaDirectory:
        """As milter and forwarder have it."""
        clock = SystemClock()
        truth = SqlDirectory(make_engine(self.url, Use.DIRECTORY), clock)
        return ReplicaDirectory(Replica(self.folder, clock), truth, Asker(clock), clock)

    def alone(self) -> SqlDirectory:
        """The current replica by itself: it answers for what it has."""
        current = self.folder.current()
        assert current is not None
        return SqlDirectory(make_engine(f"sqlite:///{current}", Use.DIRECTORY), ManualClock())

    def await_current(self, truth: Truth, seconds: float = 20.0) -> None:
        """Until the replica has all of the truth."""
        assert replicas.await_current(self.folder.path, truth.engine, seconds), self.folder.read_state()

    def number(self) -> int:
        """The current file's."""
        current = self.folder.current()
        assert current is not None
        return int(current.name.split(".")[1])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def wait_for(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    """Until the condition holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"waited in vain for {what}"
        time.sleep(0.01)
