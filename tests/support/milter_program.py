"""postmask-milter alias with a directory in memory: what the tests of gate and milter start.

    python milter_program.py FOLDER     makes gate.sock and alias.sock in FOLDER

Domain alias.test with an alias for each kind of answer (see `directory`). The answer for wait@ comes
when FOLDER/go exists, the one for broken@ is an exception of the directory's.
"""

import math
import sys
import time
from pathlib import Path

import directories
from postmask import daemon, log
from postmask.alias.rcpt import Decider
from postmask.clock import SystemClock
from postmask.config.sections import Milter, Rates
from postmask.directory.lookup import Lookup
from postmask.directory.records import Alias, AliasState, BlockAction, SenderRule, WhenDisabled
from postmask.drain import DrainSwitch
from postmask.keys import Keyring, Secret
from postmask.verdict import Verdict
from postmask_milter import alias_service, service
from postmask_milter.rates import RcptRates
from postmask_milter.signals import Signals

DOMAIN = "alias.test"


class Directory(directories.MemoryDirectory):
    """One that can be slow, and can break."""

    folder: Path

    def alias(self, address: str) -> Lookup[Alias]:
        if address == f"broken@{DOMAIN}":
            raise ZeroDivisionError("the directory broke")
        if address == f"wait@{DOMAIN}":
            (self.folder / "waiting").touch()
            while not (self.folder / "go").exists():
                time.sleep(0.005)
        return super().alias(address)


class RefusalLog:
    """A recorder that writes what it is given into a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def refused(self, verdict: Verdict, recipient: str, sender: str, queue_id: str) -> None:
        with self._path.open("a") as file:
            file.write(f"{verdict.status} {recipient} {sender}\n")


def directory(folder: Path) -> Directory:
    """One alias for each answer."""
    made = Directory()
    made.folder = folder
    made.with_domain(DOMAIN)
    for name in ("shop", "wait", "bücher", "a b", "a@b"):
        _add(made, directories.alias(f"{name}@{DOMAIN}", domain=DOMAIN))
    for answer in WhenDisabled:
        name = f"off-{answer}@{DOMAIN}"
        _add(made, directories.alias(name, state=AliasState.DISABLED, when_disabled=answer))
    made.rules["blocked@sender.test"] = SenderRule(BlockAction.REJECT, "account", "blocked@sender.test")
    return made


def _add(made: Directory, alias: Alias) -> None:
    made.aliases[alias.address] = alias


def main() -> None:
    signals = Signals()
    folder = Path(sys.argv[1])
    log.setup("milter-program", "info")
    clock = SystemClock()
    rates = RcptRates(Rates(math.inf, math.inf, math.inf), (), clock)
    keys = Keyring([Secret(1, "2030-01-01", bytes(range(32)))])
    decider = Decider(directory(folder), keys, clock, rates, DrainSwitch(folder).in_force)
    service.leave(
        alias_service.assemble(
            decider,
            RefusalLog(folder / "refusals"),
            clock,
            Milter(command_deadline=1.5, max_connections=500),
            gate_socket=daemon.listen_unix(folder / "gate.sock", group="postfix"),
            milter_socket=daemon.listen_unix(folder / "alias.sock", group="postfix"),
            signals=signals,
            notify=daemon.notify,
        ).run()
    )


if __name__ == "__main__":
    main()
