"""What `postmask reconcile` says of a service, before and after."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from service import Service


class Account:
    """What reconcile says now, and what has changed since it was made."""

    def __init__(self, service: Service) -> None:
        self._service = service
        _, self._before = self._ask()

    def _ask(self) -> tuple[int, dict[str, Any]]:
        done = self._service.lab.postmask("reconcile", check=False)
        assert done.exit_code in (0, 65), done.stderr
        return done.exit_code, json.loads(done.stdout)

    def closes_with(self, **outcomes: int) -> dict[str, Any]:
        """The sum closes, and these came to it, as soon as Postfix's log has all of it.

        Its programs say what they did before they do it, but it is postlogd(8) that writes it down.
        """
        until = time.monotonic() + 30.0
        while (found := self._sum())[0] != (0, [], True, outcomes) and time.monotonic() < until:
            time.sleep(0.1)
        came, told = found
        assert came == (0, [], True, outcomes)
        return told

    def _sum(self) -> tuple[tuple[int, list[Any], bool, dict[str, int]], dict[str, Any]]:
        """Exit status, what is unaccounted for, whether it closes, what was added; and all that was told."""
        status, told = self._ask()
        added = Counter(told["outcomes"])
        added.subtract(self._before["outcomes"])
        come = {fate: count for fate, count in added.items() if count}
        return (status, told["unaccounted"], told["closes"], come), told

    def unaccounted(self) -> list[dict[str, Any]]:
        status, told = self._ask()
        assert status == (65 if told["unaccounted"] else 0)
        return list(told["unaccounted"])

    def await_unaccounted(self) -> dict[str, Any]:
        """The one thing that is missing, once it is older than what may still be under way."""
        (missing,) = self._service.lab.wait_for(self.unaccounted, "something that is missing")
        return dict(missing)


def settled(service: Service, *left: str) -> None:
    """Until nothing is in the queue but these, and what is on hold."""

    def quiet() -> bool:
        return all(e["queue_id"] in left or e["queue_name"] == "hold" for e in service.lab.queue())

    service.lab.wait_retrying(quiet, "a quiet queue")
