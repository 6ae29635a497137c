"""DNS as data that takes its time, on a clock that stands still otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

from dns_data import DnsData
from postmask.clock import Deadline, ManualClock
from postmask.directory.lookup import Lookup, Unavailable

T = TypeVar("T")


@dataclass
class SlowDns(DnsData):
    """takes: seconds for any answer; slow: names that take longer than anybody waits.

    patience: what the resolver itself waits for one answer. waited: seconds in all.
    """

    clock: ManualClock = field(default_factory=ManualClock)
    takes: float = 0.01
    slow: set[str] = field(default_factory=set)
    patience: float = 2.0
    waited: float = 0.0

    def txt(self, name: str, deadline: Deadline) -> Lookup[tuple[bytes, ...]]:
        late = self._wait(name, deadline)
        return late or super().txt(name, deadline)

    def addresses(self, name: str, deadline: Deadline, *, ipv6: bool = False) -> Lookup[tuple[str, ...]]:
        late = self._wait(name, deadline)
        return late or super().addresses(name, deadline, ipv6=ipv6)

    def exists(self, name: str, deadline: Deadline) -> Lookup[None]:
        late = self._wait(name, deadline)
        return late or super().exists(name, deadline)

    def _wait(self, name: str, deadline: Deadline) -> Unavailable | None:
        takes = 1e9 if any(name.endswith(slow) for slow in self.slow) else self.takes
        waits = min(takes, deadline.at_most(self.patience))
        self.clock.advance(waits)
        self.waited += waits
        if waits < takes:
            self.asked.append(name)
            return Unavailable("DNS did not answer")
        return None
