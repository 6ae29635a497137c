"""The log: one line a record, whatever is in it; canonical lines that can be taken apart again."""

from __future__ import annotations

import io
import logging
import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmask import log

ASCII = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
LOGGER = logging.getLogger("postmask.test")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    loggers = [root, *map(logging.getLogger, log.OURS)]
    before, levels = root.handlers[:], [logger.level for logger in loggers]
    hooks = sys.excepthook, threading.excepthook
    yield
    sys.excepthook, threading.excepthook = hooks
    root.handlers[:] = before
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def started(level: str = "info") -> io.StringIO:
    stream = io.StringIO()
    log.setup("postmask-test", level, environ={}, stream=stream)
    return stream


def written(stream: io.StringIO) -> str:
    """The one line that was written, without its time."""
    (line,) = stream.getvalue().splitlines()
    time, rest = line.split(" ", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", time)
    return rest


def test_a_line_is_utf_8_whatever_the_locale() -> None:
    """journalctl shows what isn't as "blob data", and trace looks for addresses in it."""
    script = "import logging; from postmask import log; log.setup('x', 'info'); logging.warning('caf\\xe9')"
    done = subprocess.run([sys.executable, "-c", script], env=ASCII, capture_output=True, check=True)
    assert done.stderr.decode().endswith("café\n")


def test_a_canonical_line() -> None:
    stream = started()
    log.line(
        LOGGER,
        logging.INFO,
        "forwarded",
        queue_id="3X1",
        alias=17,
        ms=1.25,
        left=2.0,
        held=False,
        reason='550 "no" =',
        empty="",
        absent=None,
        raw=b"\xff\n",
    )
    assert written(stream) == (
        r'postmask-test: forwarded queue_id=3X1 alias=17 ms=1.25 left=2 held=false reason="550 \"no\" =" '
        r'empty="" raw=\xff\n'
    )


@pytest.mark.parametrize(
    ("level", "word"),
    [
        (logging.INFO, ""),
        (logging.WARNING, "warning: "),
        (logging.ERROR, "error: "),
        (logging.CRITICAL, "fatal: "),
    ],
)
def test_the_level_is_said_where_it_matters(level: int, word: str) -> None:
    stream = started()
    log.line(LOGGER, level, "event")
    assert written(stream) == f"postmask-test: {word}event"


@pytest.mark.parametrize("make", [os.pipe, lambda: tuple(end.detach() for end in socket.socketpair())])
def test_nobody_waits_for_a_reader_that_sleeps(
    make: Callable[[], tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe's, or the journal's, which is a socket."""
    monkeypatch.setattr(log, "_PATIENCE", 0.01)
    read_end, write_end = make()
    with open(read_end, "rb", buffering=0) as reader, open(write_end, "w", encoding="ascii") as stream:
        log.setup("postmask-test", "info", environ={}, stream=stream)
        for number in range(5_000):
            log.line(LOGGER, logging.INFO, "event", number=number, text="x" * 100)
        os.set_blocking(read_end, False)
        before = b"".join(iter(lambda: reader.read(65_536) or b"", b"")).decode().splitlines()
        LOGGER.info("read again")
        after = reader.read(65_536)
    assert all(f" number={number} " in line for number, line in enumerate(before))
    assert after is not None
    missing, last = (line.split(" ", 1)[1] for line in after.decode().splitlines())
    what = f"{5_000 - len(before)} lines are missing here: nobody read them in time"
    assert (missing, last) == (f"postmask-test: warning: {what}", "postmask-test: read again")


def test_levels() -> None:
    stream = started("warning")
    log.line(LOGGER, logging.INFO, "event")
    LOGGER.info("event")
    assert stream.getvalue() == ""
    stream = started("debug")
    LOGGER.debug("event %d", 1)
    assert written(stream) == "postmask-test: event 1"


def test_libraries_are_heard_from_warning_on() -> None:
    stream = started("debug")
    logging.getLogger("sqlalchemy").info("chatter")
    logging.getLogger("sqlalchemy").warning("trouble\nof two lines")
    assert written(stream) == r"postmask-test: warning: trouble\nof two lines"


def test_an_exception_is_one_line_without_its_text() -> None:
    """It may name somebody's mailbox."""
    stream = started()
    try:
        try:
            raise KeyError("me@real.test")
        except KeyError as error:
            raise RuntimeError("me@real.test is odd") from error
    except RuntimeError:
        LOGGER.exception("it failed")
    line = re.sub(r":\d+", ":1", written(stream))
    told = '"RuntimeError at test_log.py:1 from KeyError at test_log.py:1"'
    assert line == f"postmask-test: error: it failed error={told}"


def test_what_nobody_catches_is_one_line_too() -> None:
    program = """
import logging, threading
from postmask import log
log.setup("postmask-test", "info")
def fail():
    raise KeyError("me@real.test")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
    done = subprocess.run([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    in_thread, in_main = (line.partition(" ")[2] for line in done.stderr.splitlines())
    told = 'postmask-test: fatal: nobody foresaw this error="KeyError at <string>:6<'
    assert in_thread.startswith(f"{told}threading.py:")
    assert in_main == f'{told}<string>:10"'


def test_under_systemd_the_priority_goes_before_and_the_time_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "journal"
    with file.open("w") as stream:
        status = os.fstat(stream.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        log.setup("postmask-test", "info", environ=environ, stream=stream)
        log.line(LOGGER, logging.INFO, "one")
        log.line(LOGGER, logging.ERROR, "two")
    assert file.read_text() == "<6>postmask-test: one\n<3>postmask-test: error: two\n"


def test_a_redirected_stream_is_no_journal(tmp_path: Path) -> None:
    file = tmp_path / "file"
    with file.open("w") as stream:
        log.setup("postmask-test", "info", environ={"JOURNAL_STREAM": "8:12345"}, stream=stream)
        log.line(LOGGER, logging.INFO, "one")
    assert re.fullmatch(r"\d{4}-.*Z postmask-test: one\n", file.read_text())


def test_a_log_that_can_not_be_written_stops_nothing() -> None:
    program = """
import logging
from postmask import log
log.setup("postmask-test", "info")
log.line(logging.getLogger("postmask.test"), logging.INFO, "lost")
print("went on")
"""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([sys.executable, "-c", program], stderr=full, stdout=subprocess.PIPE, text=True)
    assert done.stdout == "went on\n"


def test_a_line_costs_nothing_when_it_is_not_wanted() -> None:
    class Dear:
        def __str__(self) -> str:
            raise AssertionError("put into words for nobody")

    started("warning")
    log.line(LOGGER, logging.INFO, "event", value=Dear())


@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), st.text(st.characters(), max_size=60)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_values_give_one_line_that_comes_apart_again(fields: dict[str, str]) -> None:
    stream = started()
    log.line(LOGGER, logging.INFO, "event", **fields)
    line = written(stream)
    assert line.isprintable()
    found = re.findall(r' (\w)=("(?:\\.|[^"\\])*"|[^ "=]+)', line)
    assert [name for name, _ in found] == list(fields)


@given(st.text(st.characters(), max_size=300))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_message_is_one_line(message: str) -> None:
    stream = started()
    LOGGER.warning("%s", message)
    assert written(stream).isprintable()
