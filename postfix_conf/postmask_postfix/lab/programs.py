"""The lab's programs: started as daemons, waited for, remembered by pid files, ended.

DIAGNOSTICS
    LabError 69 when a program ends before it is ready, or isn't ready in time; the message has the
    end of its log.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from postmask_postfix import processes
from postmask_postfix.lab.errors import LabError
from postmask_postfix.lab.layout import Layout
from postmask_postfix.lab.options import Made, words
from postmask_postfix.lab.readiness import Notified, answers
from postmask_postfix.processes import Process

READY_SECONDS = 90.0
REPLACED_SECONDS = 1.0
STOP_SECONDS = 8.0

_BECOME = (
    'read -r line </proc/$$/stat && echo "$$ ${line##*) }" | cut -d" " -f1,21 >"$0.new"'
    ' && mv "$0.new" "$0" && exec "$@"'
)
"""A shell that leaves its pid and start time (field 22 of stat) in the file $0, then becomes the program."""


@dataclass(frozen=True, slots=True)
class Program:
    """One program of a lab.

    replaced: started by a command of the user's (--exec), of which nothing is expected.
    sockets:  the Unix sockets that it listens on.
    """

    name: str
    command: tuple[str, ...]
    replaced: bool
    sockets: tuple[str, ...]
    pid_file: Path
    log: Path

    def process(self) -> Process | None:
        """The running process, None when it is dead or never was."""
        try:
            pid, started = (int(word) for word in self.pid_file.read_text().split())
        except (OSError, ValueError):
            return None
        process = Process(pid, started)
        return process if process.alive else None


def wanted(layout: Layout, made: Made) -> list[Program]:
    """The programs of this lab, in the order in which they are started."""
    config = ("--config", str(layout.config))
    paths = layout.socket_paths()
    commands: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
        "milter-alias": (("postmask_milter", "alias", *config), (paths["alias"], paths["gate"])),
        "milter-scan": (("postmask_milter", "scan", *config), (paths["scan"],)),
        "forwarder": (("postmask_transport", *config), (paths["forwarder"],)),
        "agent": (("postmask.agent", *config), ()),
    }
    if made.sink_port:
        listen = ("--listen", f"127.0.0.1:{made.sink_port}", "--directory", str(layout.sink))
        commands = {"sink": (("postmask_postfix.sink", *listen), ()), **commands}
    return [_program(layout, made, name, *parts) for name, parts in commands.items()]


def _program(
    layout: Layout, made: Made, name: str, module: tuple[str, ...], sockets: tuple[str, ...]
) -> Program:
    replacement = made.options.programs.get(name)
    return Program(
        name,
        # -P: the lab's folder, which is the working directory, must not be a source of modules.
        command=tuple(words(replacement)) if replacement else (sys.executable, "-P", "-m", *module),
        replaced=replacement is not None,
        sockets=sockets,
        pid_file=layout.run / f"{name}.pid",
        log=layout.log / f"{name}.log",
    )


def start(programs: Iterable[Program], layout: Layout, environ: Mapping[str, str]) -> None:
    """Start those that don't run, all at once, and return when each is ready."""
    with contextlib.ExitStack() as sockets:
        waiting = []
        for program in programs:
            if program.process() is None:
                notified = sockets.enter_context(Notified())
                _spawn(program, notified.address, layout, environ)
                waiting.append((program, notified))
        _await_all(waiting)


def _spawn(program: Program, notify: str, layout: Layout, environ: Mapping[str, str]) -> None:
    """Start one as a daemon: a session of its own, a child of nobody's."""
    for path in program.sockets:
        if not answers(path):
            Path(path).unlink(missing_ok=True)
    program.pid_file.unlink(missing_ok=True)
    environment = {name: value for name, value in environ.items() if not name.startswith("LISTEN_")}
    environment |= {"NOTIFY_SOCKET": notify, "POSTMASK_CONFIG": str(layout.config)}
    with program.log.open("ab") as log:
        done = subprocess.run(
            ["setsid", "-f", "sh", "-c", _BECOME, str(program.pid_file), *program.command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=layout.directory,
        )
    if done.returncode:
        raise LabError(f"{program.name} can't be started:\n{processes.tail(program.log)}", os.EX_UNAVAILABLE)


def _await_all(waiting: list[tuple[Program, Notified]]) -> None:
    begun = time.monotonic()
    left = list(waiting)
    while left:
        passed = time.monotonic() - begun
        left = [(program, notified) for program, notified in left if not _ready(program, notified, passed)]
        if left:
            time.sleep(0.01)


def _ready(program: Program, notified: Notified, passed: float) -> bool:
    """Whether nothing more is to be waited for. passed: seconds since the start."""
    if notified.check():
        return True
    if program.replaced:
        listening = bool(program.sockets) and all(map(answers, program.sockets))
        return listening or passed > REPLACED_SECONDS or _ended(program)
    if _ended(program):
        raise _failed(program, "ended before it was ready")
    if passed > READY_SECONDS:
        raise _failed(program, f"was not ready within {READY_SECONDS:.0f} seconds")
    return False


def _ended(program: Program) -> bool:
    return program.pid_file.exists() and program.process() is None


def _failed(program: Program, what: str) -> LabError:
    return LabError(
        f"{program.name} {what}; the end of {program.log}:\n{processes.tail(program.log)}", os.EX_UNAVAILABLE
    )


def stop(programs: Iterable[Program]) -> None:
    """End those that run: SIGTERM first, so that they finish what is in hand."""
    listed = list(programs)
    running = [process for program in listed if (process := program.process())]
    processes.end(running, STOP_SECONDS)
    for program in listed:
        program.pid_file.unlink(missing_ok=True)
