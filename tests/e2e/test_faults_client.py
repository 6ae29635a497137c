"""The pipe client damaged, or replaced by something that ends, speaks, hangs or dies as it likes.

Whatever it does short of saying "delivered" Postfix keeps the message, and hands it over once the
client is whole again.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from faults import Watch, await_flow, message
from service import Service

MODULE = "postmask_pipe.py"


@contextlib.contextmanager
def replaced_client(service: Service) -> Iterator[Path]:
    """The client's file, to be damaged; whole again at the end."""
    client = service.lab.directory / "pipe" / MODULE
    whole = client.read_bytes()
    _forget_bytecode(client)
    try:
        yield client
    finally:
        if client.is_dir():
            client.rmdir()
        client.write_bytes(whole)
        client.chmod(0o644)
        _forget_bytecode(client)


def _forget_bytecode(client: Path) -> None:
    """What Python kept of the file as it was."""
    shutil.rmtree(client.parent / "__pycache__", ignore_errors=True)


def _cut_points(text: bytes) -> dict[str, bytes]:
    """The file cut short: here and there, and behind some of the lines where it is Python still."""
    anywhere = [len(text) * part // 7 for part in range(1, 7)]
    ends = [number + 1 for number, octet in enumerate(text) if octet == ord("\n")]
    still_python = [end for end in ends[:-1] if _is_python(text[:end])]
    some = [still_python[len(still_python) * part // 12] for part in range(12)]
    return {f"cut at {point}": text[:point] for point in (*anywhere, *some, still_python[-1])}


def _is_python(source: bytes) -> bool:
    try:
        compile(source, MODULE, "exec")
    except SyntaxError:
        return False
    return True


def _damages(whole: bytes) -> dict[str, bytes]:
    return {
        "empty": b"",
        "newline": b"\n",
        "NUL-filled": bytes(len(whole)),
        "NUL at the end": whole[: len(whole) // 2] + bytes(len(whole) - len(whole) // 2),
        "shebang": b"#!/usr/bin/python3\n",
        "not Python": b"\x7fELF\x02\x01\x01" + whole[:100],
        "other module": b"import os, sys\n\ndef main(argv):\n    return None\n",
        "true": b"def main(argv):\n    return True\n",
        "zero": b"def main(argv):\n    return 0\n",
        "no main": b"delivered = 'delivered'\n",
        "main is no function": b"main = 'delivered'\n",
        **_cut_points(whole),
    }


def test_a_damaged_file(faulty_pipe: Service) -> None:
    owned = faulty_pipe.alias()
    watch = Watch(faulty_pipe.lab)
    with replaced_client(faulty_pipe) as client:
        cases = _damages(client.read_bytes())
        for name, content in cases.items():
            client.write_bytes(content)
            _forget_bytecode(client)
            _await_deferral(faulty_pipe, watch, owned.alias, name)
    assert watch.bounced() == []
    assert await_flow(faulty_pipe, owned.mailbox, len(cases)) == sorted(cases)


def test_a_file_that_is_not_to_be_had(faulty_pipe: Service) -> None:
    owned = faulty_pipe.alias()
    watch = Watch(faulty_pipe.lab)
    folder = faulty_pipe.lab.directory / "pipe"
    with replaced_client(faulty_pipe) as client:
        client.chmod(0)
        _await_deferral(faulty_pipe, watch, owned.alias, "unreadable")
        client.unlink()
        _await_deferral(faulty_pipe, watch, owned.alias, "missing")
        client.mkdir()
        _await_deferral(faulty_pipe, watch, owned.alias, "a folder")
        folder.chmod(0o700)
        _await_deferral(faulty_pipe, watch, owned.alias, "folder unreadable")
        folder.chmod(0o755)
        with _renamed(folder):
            _await_deferral(faulty_pipe, watch, owned.alias, "folder missing")
    assert watch.bounced() == []
    names = ["a folder", "folder missing", "folder unreadable", "missing", "unreadable"]
    assert await_flow(faulty_pipe, owned.mailbox, len(names)) == names


@contextlib.contextmanager
def _renamed(folder: Path) -> Iterator[None]:
    away = folder.with_name("pipe.away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


ACTOR = """
import os, signal, sys, time

def main(argv):
    sys.stdin.buffer.read()
    words = dict(word.split("=", 1) for word in argv if "=" in word)
    what = words["recipient"].partition("+")[2].partition("@")[0]
    action, _, value = what.partition(".")
    actions[action](value)

LINES = {lines!r}

def say(value):
    number, _, code = value.partition(".")
    sys.stdout.write(LINES[int(number)])
    sys.stdout.flush()
    os._exit(int(code))

def grandchild(value):
    if os.fork() == 0:
        os.setsid()
        time.sleep(5)
        os._exit(0)
    os._exit(int(value))

def overrun(value):
    sys.stdout.write("4.3.0 working\\n")
    sys.stdout.flush()
    time.sleep(60)

def stubborn(value):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    overrun(value)

actions = {{
    "exit": lambda value: os._exit(int(value)),
    "raise": lambda value: 1 / 0,
    "kill": lambda value: os.kill(os.getpid(), int(value)),
    "say": say,
    "grandchild": grandchild,
    "overrun": overrun,
    "stubborn": stubborn,
}}
"""

LINES = [
    "5.1.1 user unknown\n",
    "5.0.0\n",
    "2.0.0 all is well\n",
    "2.1.5 postmask: ok\n",
    "5.7.1 Traceback (most recent call last):\n  File x\n",
    "550 5.1.1 postmask: no\n",
    "5.1.1 they said: postmask: no\n",
    "\n5.1.1 user unknown\n",
    "5.1.1postmask: no\n",
    "x" * 900 + "\n",
    "\x00\xff\n",
]


def test_every_exit_status_and_every_line_that_is_not_ours(faulty_pipe: Service) -> None:
    """One alias, a detail for each case, so that one message brings many cases."""
    owned = faulty_pipe.alias()
    name = owned.alias.partition("@")[0]
    whats = [f"exit.{code}" for code in range(1, 256)]
    whats += [f"say.{number}.{code}" for number in range(len(LINES)) for code in (1, 67)]
    whats += [f"kill.{number}" for number in (1, 6, 9, 11)]
    whats += ["raise.0", "grandchild.1", "grandchild.67"]
    recipients = [f"{name}+{what}@alias.test" for what in whats]
    watch = Watch(faulty_pipe.lab)
    with replaced_client(faulty_pipe) as client:
        client.write_text(ACTOR.format(lines=LINES), encoding="utf-8")
        _forget_bytecode(client)
        said = faulty_pipe.send("bob@example.com", recipients, message(owned.alias, "many"))
        assert all(answer.startswith("250") for answer in said.recipients.values())
        for recipient in recipients:
            watch.await_lines(1, said.queue_id, f"to=<{recipient}>", "status=deferred")
    assert watch.bounced() == []
    assert watch.lines("status=sent", "relay=postmask,") == []
    assert await_flow(faulty_pipe, owned.mailbox, len(recipients)) == ["many"] * len(recipients)


@pytest.mark.parametrize("what", ["overrun.0", "stubborn.0"])
def test_an_overrun_time_limit(faulty_pipe: Service, what: str) -> None:
    owned = faulty_pipe.alias()
    recipient = owned.alias.replace("@", f"+{what}@")
    watch = Watch(faulty_pipe.lab)
    with replaced_client(faulty_pipe) as client, faulty_pipe.lab.main_cf(postmask_time_limit="2s"):
        client.write_text(ACTOR.format(lines=LINES), encoding="utf-8")
        _forget_bytecode(client)
        said = faulty_pipe.send("bob@example.com", [recipient], message(owned.alias, "late"))
        watch.await_lines(1, said.queue_id, "status=deferred")
        assert watch.lines(said.queue_id, "Command time limit exceeded")
    assert watch.bounced() == []
    assert await_flow(faulty_pipe, owned.mailbox, 1) == ["late"]


def _await_deferral(service: Service, watch: Watch, alias: str, name: str) -> None:
    queue_id = service.send("bob@example.com", [alias], message(alias, name)).queue_id
    watch.await_lines(1, queue_id, "status=deferred")
