"""The lab's Postfix: written, given the pipe client's copy, started on its port.

DIAGNOSTICS
    LabError 64 for what can't stand in Postfix's configuration; 69 when the port is taken, Postfix doesn't
    start, or Postmask's installation lacks the pipe client.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import time
from collections.abc import Iterator

from postmask_postfix import client, render
from postmask_postfix.attachment import change, plan
from postmask_postfix.instance import Instance, InstanceError
from postmask_postfix.lab.errors import LabError
from postmask_postfix.lab.layout import Layout
from postmask_postfix.lab.options import Made, words
from postmask_postfix.settings import SettingsContext
from postmask_postfix.sync import wanted_settings

MESSAGE_SIZE_LIMIT = 52_428_800
PIPE_USER = "nobody"
PORT_SECONDS = 3.0


def copy_pipe_client(layout: Layout, made: Made) -> None:
    """A copy that nobody can read."""
    if "pipe" in made.options.programs:
        return
    try:
        client.install(layout.pipe)
    except client.ClientError as error:
        raise LabError(str(error), os.EX_UNAVAILABLE) from error


def write(layout: Layout, made: Made) -> None:
    """The instance's configuration with everything attached, no domain yet."""
    replacement = made.options.programs.get("pipe")
    command = tuple(words(replacement)) if replacement else render.pipe_argv(str(layout.pipe))
    context = SettingsContext(
        door=made.door,
        pipe_argv=command,
        pipe_user=PIPE_USER,
        pipe_processes=client.processes(),
        message_size_limit=MESSAGE_SIZE_LIMIT,
    )
    base = layout.instance.base_parameters(made.relay)
    etc = layout.instance.etc
    layout.instance.write(base, "", made.smtp_port)
    try:
        attached = plan.attached(change.read(etc), plan.Wanted(context, wanted_settings(()), {}))
    except ValueError as error:
        shutil.rmtree(etc)
        raise LabError(str(error), os.EX_USAGE) from error
    change.attach_files(etc, attached)


def make_socket_folder(layout: Layout) -> None:
    """The folder of our sockets, and in it the one where the pipe client leaves its stamp."""
    stamps = layout.sockets / "pipe"
    stamps.mkdir(parents=True, exist_ok=True)
    layout.sockets.chmod(0o711)
    shutil.chown(stamps, PIPE_USER)


@contextlib.contextmanager
def started(instance: Instance, port: int) -> Iterator[None]:
    """Postfix starts while the block does its own slow things; it runs when the block is left."""
    if instance.master_pid():
        yield
        return
    _await_port(port)
    starting = instance.command("start")
    try:
        yield
    except BaseException:
        # Ctrl-C goes to Postfix's command as well; what it says of that is of no interest.
        with contextlib.suppress(InstanceError):
            instance.finish(starting)
        raise
    try:
        instance.finish(starting)
    except InstanceError as error:
        raise LabError(str(error), os.EX_UNAVAILABLE) from error


def _await_port(port: int) -> None:
    """Make sure that nobody else listens: Postfix would share the port with them (SO_REUSEPORT).

    A killed master's children may still do for a moment.
    """
    give_up = time.monotonic() + PORT_SECONDS
    while not _is_free(port):
        if time.monotonic() > give_up:
            raise LabError(f"port {port} on 127.0.0.1 is in use by another program", os.EX_UNAVAILABLE)
        time.sleep(0.05)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return True
    return False


def free_port(*taken: int) -> int:
    """A port on loopback that nobody listens on, below those that the kernel gives to clients."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 200):
        if port not in taken and _is_free(port):
            return port
    raise LabError("no free port found on 127.0.0.1", os.EX_UNAVAILABLE)
