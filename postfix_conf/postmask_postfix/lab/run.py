"""Brings a lab up, down, and says how it is."""

from __future__ import annotations

import contextlib
import fcntl
import importlib.util
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from postmask.clock import Clock, SystemClock
from postmask_postfix import domains, processes, render
from postmask_postfix.instance import Instance, InstanceError
from postmask_postfix.lab import layout as layouts
from postmask_postfix.lab import programs, state
from postmask_postfix.lab.errors import LabError
from postmask_postfix.lab.layout import Layout
from postmask_postfix.lab.options import LabOptions, Made, words
from postmask_postfix.lab.programs import Program
from postmask_postfix.settings import GENERATION, SettingsContext

MESSAGE_SIZE_LIMIT = 52_428_800
PIPE_PYTHON = "/usr/bin/python3"
PIPE_USER = "nobody"
_RESTART_SECONDS = 8.0


def up(options: LabOptions, clock: Clock | None = None) -> dict[str, Any]:
    """Bring the lab up; returns when all is ready. On a lab that is up: restart what has died."""
    _need_root()
    layout = layouts.at(options.directory)
    layouts.prepare(layout)
    with _lock(layout):
        made = _made(layout, options)
        listed = programs.wanted(layout, made)
        _copy_pipe_client(layout, made)
        if not (layout.instance.etc / "main.cf").exists():
            _write_postfix(layout, made)
        _make_socket_folder(layout)
        with _postfix_started(layout.instance):
            state.make(layout, made, clock or SystemClock())
            programs.start(listed, layout, os.environ)
        return _described(layout, made, listed)


def down(directory: Path) -> None:
    """Stop all of it. What lies in the queue stays there."""
    layout = layouts.at(directory)
    made = _existing(layout)
    _need_root()
    with _lock(layout):
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
    described = _described(layout, made, programs.wanted(layout, made))
    return {**described, "up": all(described["pids"].values())}


def _need_root() -> None:
    if os.geteuid() != 0:
        raise LabError("a lab needs root, because Postfix does: run this with sudo", os.EX_NOPERM)
    if shutil.which("postfix") is None:
        raise LabError(
            "there is no postfix in PATH; apt-get install postfix, add /usr/sbin", os.EX_UNAVAILABLE
        )


@contextlib.contextmanager
def _lock(layout: Layout) -> Iterator[None]:
    """One caller at a time."""
    folder = os.open(layout.directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


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
    smtp = options.smtp or _free_port()
    made = Made(options, smtp, 0 if options.sink else _free_port(smtp))
    temporary = layout.made.with_name(".lab.json.new")
    temporary.touch(mode=0o600)
    temporary.write_text(made.to_json(), encoding="utf-8")
    temporary.replace(layout.made)
    return made


def _free_port(*taken: int) -> int:
    """A port on loopback that nobody listens on, below those that the kernel gives to clients."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in taken:
                with contextlib.suppress(OSError):
                    probe.bind(("127.0.0.1", port))
                    return port
    raise LabError("no free port found on 127.0.0.1", os.EX_UNAVAILABLE)


def _copy_pipe_client(layout: Layout, made: Made) -> None:
    """A copy that nobody can read, with the bytecode beside it that nobody could not write."""
    if "pipe" in made.options.programs:
        return
    package = importlib.util.find_spec("postmask_transport")
    folders = list(package.submodule_search_locations or ()) if package else []
    source = Path(folders[0], "pipe.py") if folders else Path("pipe.py")
    if not source.is_file():
        raise LabError("postmask_transport/pipe.py is missing: install Postmask again", os.EX_UNAVAILABLE)
    target = layout.pipe / "postmask_pipe.py"
    if not target.exists() or target.read_bytes() != source.read_bytes():
        shutil.copyfile(source, target)
    target.chmod(0o644)
    subprocess.run([PIPE_PYTHON, "-I", "-m", "py_compile", str(target)], check=False)


def _write_postfix(layout: Layout, made: Made) -> None:
    """The instance's configuration with everything attached, no domain yet."""
    replacement = made.options.programs.get("pipe")
    client = tuple(words(replacement)) if replacement else render.pipe_argv(str(layout.pipe), PIPE_PYTHON)
    context = SettingsContext(
        door=made.door,
        pipe_argv=client,
        pipe_user=PIPE_USER,
        pipe_processes=max(4, 2 * (os.cpu_count() or 2)),
        message_size_limit=MESSAGE_SIZE_LIMIT,
    )
    base = layout.instance.base_parameters(made.relay)
    ours = {**render.main_cf(context, base), **domains.parameters(domains.alternations(())), GENERATION: "0"}
    try:
        layout.instance.write({**base, **ours}, render.master_cf(context), made.smtp_port)
    except ValueError as error:
        raise LabError(str(error), os.EX_USAGE) from error


def _make_socket_folder(layout: Layout) -> None:
    """The folder of our sockets, and in it the one where the pipe client leaves its stamp."""
    client = layout.sockets / "pipe"
    client.mkdir(parents=True, exist_ok=True)
    layout.sockets.chmod(0o755)
    shutil.chown(client, PIPE_USER)


@contextlib.contextmanager
def _postfix_started(instance: Instance) -> Iterator[None]:
    """Postfix starts while the block does its own slow things; it runs when the block is left."""
    if instance.master_pid():
        yield
        return
    unclean = (instance.queue / "pid" / "master.pid").exists()
    starting = instance.command("start")
    try:
        yield
    finally:
        try:
            _finish_start(instance, starting, _RESTART_SECONDS if unclean else 0.0)
        except InstanceError as error:
            raise LabError(str(error), os.EX_UNAVAILABLE) from error


def _finish_start(instance: Instance, starting: subprocess.Popen[str], patience: float) -> None:
    """Wait for the start. After a killed master its children hold the sockets for a moment: try again."""
    give_up = time.monotonic() + patience
    while True:
        try:
            return instance.finish(starting)
        except InstanceError:
            if time.monotonic() > give_up:
                raise
        time.sleep(0.3)
        starting = instance.command("start")


def _described(layout: Layout, made: Made, listed: list[Program]) -> dict[str, Any]:
    """The lab as the one JSON object."""
    master = layout.instance.master_pid()
    pids = {"postfix": [master, *processes.children(master)] if master else []}
    for program in listed:
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
