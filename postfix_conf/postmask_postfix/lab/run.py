"""Brings a lab up, down, and says how it is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from postmask.clock import Clock, SystemClock
from postmask_postfix import commands, processes
from postmask_postfix.instance import InstanceError
from postmask_postfix.lab import layout as layouts
from postmask_postfix.lab import postfix, programs, state
from postmask_postfix.lab.errors import LabError
from postmask_postfix.lab.layout import Layout
from postmask_postfix.lab.options import LabOptions, Made


def up(options: LabOptions, clock: Clock | None = None) -> dict[str, Any]:
    """Bring the lab up; returns when all is ready. On a lab that is up: restart what has died."""
    _need_root()
    layout = layouts.at(options.directory)
    with layouts.prepared(layout), commands.lock(layout.directory):
        new = not layout.made.exists()
        made = _made(layout, options)
        try:
            _start(layout, made, clock or SystemClock())
        except BaseException:
            if new:
                _undo(layout, made)
            raise
        return _described(layout, made)


def _start(layout: Layout, made: Made, clock: Clock) -> None:
    postfix.copy_pipe_client(layout, made)
    if not (layout.instance.etc / "main.cf").exists():
        postfix.write(layout, made)
    postfix.make_socket_folder(layout)
    with postfix.started(layout.instance, made.smtp_port):
        state.make(layout, made, clock)
        programs.start(programs.wanted(layout, made), layout, os.environ)


def _undo(layout: Layout, made: Made) -> None:
    """Leave no half-made lab behind, lest its options be remembered: the folder was empty before."""
    _stop(layout, made)
    for entry in layout.directory.iterdir():
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def down(directory: Path) -> None:
    """Stop all of it. What lies in the queue stays there."""
    layout = layouts.at(directory)
    made = _existing(layout)
    _need_root()
    with commands.lock(layout.directory):
        _stop(layout, made)


def _stop(layout: Layout, made: Made) -> None:
    """Postfix first: nothing is handed to programs that are about to leave."""
    if layout.instance.master_pid():
        try:
            layout.instance.run("stop")
        except InstanceError as error:
            raise LabError(str(error), os.EX_UNAVAILABLE) from error
    programs.stop(programs.wanted(layout, made))


def status(directory: Path) -> dict[str, Any]:
    """The lab as up() describes it; pids of what has died are empty, `up` says whether all runs."""
    layout = layouts.at(directory)
    made = _existing(layout)
    described = _described(layout, made)
    return {**described, "up": all(described["pids"].values())}


def _need_root() -> None:
    if os.geteuid() != 0:
        raise LabError("a lab needs root, because Postfix does: run this with sudo", os.EX_NOPERM)
    if shutil.which("postfix") is None:
        raise LabError(
            "there is no postfix in PATH; apt-get install postfix, add /usr/sbin", os.EX_UNAVAILABLE
        )


def _existing(layout: Layout) -> Made:
    if not layout.made.exists():
        raise LabError(f"there is no lab in {layout.directory}", os.EX_NOINPUT)
    return Made.from_json(layout.directory, layout.made.read_text(encoding="utf-8"))


def _made(layout: Layout, options: LabOptions) -> Made:
    """The lab's memory; on the first call it is made."""
    if layout.made.exists():
        made = _existing(layout)
        made.agree(options)
        return made
    smtp = options.smtp or postfix.free_port()
    made = Made(options, smtp, 0 if options.sink else postfix.free_port(smtp))
    layouts.put(layout.made, made.to_json())
    return made


def _described(layout: Layout, made: Made) -> dict[str, Any]:
    """The lab as the one JSON object."""
    master = layout.instance.master_pid()
    pids = {"postfix": [master, *processes.children(master)] if master else []}
    for program in programs.wanted(layout, made):
        process = program.process()
        pids[program.name] = [process.pid] if process else []
    return {
        "smtp": f"127.0.0.1:{made.smtp_port}",
        "config": str(layout.config),
        "postfix": str(layout.instance.etc),
        "queue": str(layout.instance.queue),
        "sink": made.options.sink or str(layout.sink),
        "log": str(layout.instance.log),
        "sockets": layout.socket_paths(),
        "pids": pids,
        "door": made.door,
    }
