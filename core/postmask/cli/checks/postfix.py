"""This node's Postfix: whether Postmask is attached to it, what waits in its queue, what is on hold."""

from __future__ import annotations

from collections.abc import Iterator

from postmask.cli import postfix_facts
from postmask.cli.checks.check import Check, Part
from postmask.cli.output import counted, moment
from postmask.cli.runtime import Runtime
from postmask.doctor import node as codes


def postfix(runtime: Runtime) -> Iterator[Check]:
    """What is in its queues only where Postmask is attached."""
    from postmask_postfix import sync

    directory = runtime.settings.postfix.config_dir
    if not postfix_facts.installed(directory):
        what = f"there is no Postfix in {directory}; see postfix.config_dir"
        yield Check("postfix", False, what, codes.POSTFIX)
        return
    attached = sync.attached(directory)
    what = "Postmask is attached" if attached else "Postmask isn't attached"
    yield Check("postfix", attached, f"{what} to the Postfix in {directory}", codes.NOT_ATTACHED)
    if attached:
        yield from Part("queue", _queue, codes.QUEUE).checks(runtime)
        yield from Part("held", _held, codes.HOLD_KEEP).checks(runtime)


def _queue(runtime: Runtime) -> Iterator[Check]:
    """What waits for the forwarder, and whether Postfix is about to return it."""
    from postmask_postfix import commands, lifetime, sync
    from postmask_postfix.queue import queued

    directory = runtime.settings.postfix.config_dir
    ours = sync.ours(directory)
    waiting = [
        message
        for message in queued(directory).values()
        if message.name != "hold" and any(map(ours.search, message.recipients))
    ]
    if not waiting:
        yield Check("queue", True, "no message waits for postmask-forwarder")
        return
    times = lifetime.Lifetime.of(commands.values(directory, *lifetime.PARAMETERS))
    oldest = min(waiting, key=lambda message: message.arrived + times.whole(message.sender))
    messages = counted(len(waiting), "message waits", "messages wait")
    what = f"{messages} for postmask-forwarder, the oldest since {moment(oldest.arrived)}"
    if runtime.clock.now() - oldest.arrived < times.ending(oldest.sender):
        yield Check("queue", True, what)
        return
    end = moment(oldest.arrived + times.whole(oldest.sender))
    what += (
        f": Postfix returns {oldest.queue_id} to its sender after {end}, unless postmask-forwarder "
        "takes it before; is it running?"
    )
    yield Check("queue", False, what, codes.QUEUE_ENDING)


def _held(runtime: Runtime) -> Iterator[Check]:
    """Whether what is on hold can expire, where that is set."""
    from postmask.holding import keep_seconds
    from postmask_postfix.hold import HoldQueue

    setting = runtime.settings.hold.keep
    if setting is None:
        return
    try:
        keep_seconds(setting, HoldQueue(runtime.settings.postfix.config_dir).lifetime())
    except ValueError as error:
        yield Check("held", False, f"nothing expires: {error}", codes.HOLD_KEEP)
