"""Hosts in network namespaces on one wire, each of which can be unplugged (needs root and iproute2).

    with network("db", "mx1", "mx2") as wire:
        with wire.inside("mx1"):
            ...                      this thread's sockets, and the processes it starts, are on that host
        with wire.unplugged("mx1"):  its packets vanish: no error, no answer
            ...

A host has a loopback of its own, and one address on the wire: 198.51.100.1 for the first, and so on.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import os
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Running = TypeVar("Running")

_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Network:
    """The hosts by their names; the namespaces are called prefix-name."""

    prefix: str
    hosts: tuple[str, ...]

    def address(self, host: str) -> str:
        """Its address on the wire."""
        return f"198.51.100.{self.hosts.index(host) + 1}"

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """This thread is on the host."""
        with Path("/proc/thread-self/ns/net").open("rb") as before:
            with Path(f"/run/netns/{self.prefix}-{host}").open("rb") as there:
                _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    @contextlib.contextmanager
    def hosting(self, host: str, what: AbstractContextManager[Running]) -> Iterator[Running]:
        """What begins and ends on the host, wherever this thread is meanwhile."""
        with self.inside(host):
            running = what.__enter__()
        try:
            yield running
        finally:
            with self.inside(host):
                what.__exit__(None, None, None)

    @contextlib.contextmanager
    def unplugged(self, *hosts: str) -> Iterator[None]:
        """They are alone: the port at the other end of their cables is down."""
        for host in hosts:
            self._switch("link", "set", host, "down")
        try:
            yield
        finally:
            for host in hosts:
                self._switch("link", "set", host, "up")

    def add_address(self, host: str, network: str) -> None:
        """One more address on the wire, with the length of its network."""
        _ip("-n", f"{self.prefix}-{host}", "address", "add", network, "dev", "wire", "nodad")

    def build(self) -> None:
        """A switch in a namespace of its own, and a cable to each host."""
        _ip("netns", "add", f"{self.prefix}-switch")
        self._switch("link", "add", "switch", "type", "bridge")
        self._switch("link", "set", "switch", "up")
        for host in self.hosts:
            name = f"{self.prefix}-{host}"
            _ip("netns", "add", name)
            self._switch("link", "add", host, "type", "veth", "peer", "name", "wire", "netns", name)
            self._switch("link", "set", host, "master", "switch", "up")
            _ip("-n", name, "address", "add", f"{self.address(host)}/24", "dev", "wire")
            _ip("-n", name, "link", "set", "wire", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """All of it, as far as it was built."""
        for host in (*self.hosts, "switch"):
            if Path(f"/run/netns/{self.prefix}-{host}").exists():
                _ip("netns", "delete", f"{self.prefix}-{host}")

    def _switch(self, *words: str) -> None:
        _ip("-n", f"{self.prefix}-switch", *words)


@contextlib.contextmanager
def network(*hosts: str) -> Iterator[Network]:
    """Hosts and their wire, gone at the end."""
    made = Network(f"pm{os.getpid()}-{next(_numbers)}", hosts)
    try:
        made.build()
        yield made
    finally:
        made.remove()


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(words)}: {done.stderr}"


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
