"""The record of an attachment, beside main.cf, so that it can be undone whatever happens in between.

    postmask-attachment.json     state: attaching, attached or detaching; both files before and after

It is written, and on the disk, before the first file is changed. `attaching` also says what to go back to.
Only root can read it.

DIAGNOSTICS
    PostfixError: it can't be read or written, or isn't one.

STANDARDS
    rename(2), fsync(2).
"""

from __future__ import annotations

import base64
import enum
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmask.disk import sync_folder
from postmask_postfix.attachment.plan import Configuration, Record
from postmask_postfix.commands import PostfixError

NAME = "postmask-attachment.json"
_VERSION = 1


class State(enum.StrEnum):
    """How far it is."""

    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


@dataclass(frozen=True, slots=True)
class Journal:
    """before, earlier: while attaching, the files and the record to go back to."""

    state: State
    record: Record
    before: Configuration | None = None
    earlier: Record | None = None


def read(config_dir: Path) -> Journal | None:
    """What was recorded; None where Postmask was never attached."""
    path = config_dir / NAME
    try:
        told = json.loads(path.read_text(encoding="ascii"))
        if told["version"] != _VERSION:
            raise PostfixError(f"{path} is of another version of Postmask (format {told['version']})")
        return Journal(
            State(told["state"]),
            _record(told["record"]),
            _configuration(told["before"]) if told["before"] else None,
            _record(told["earlier"]) if told["earlier"] else None,
        )
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PostfixError(f"{path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise PostfixError(f"{path} is damaged ({error}); restore it, or remove it") from error


def write(config_dir: Path, journal: Journal) -> None:
    """Record this, on the disk when it returns."""
    told = {
        "version": _VERSION,
        "state": journal.state,
        "record": _told_record(journal.record),
        "before": _told(journal.before) if journal.before else None,
        "earlier": _told_record(journal.earlier) if journal.earlier else None,
    }
    put(config_dir / NAME, json.dumps(told, indent=1).encode())


def remove(config_dir: Path) -> None:
    """Forget: nothing is attached any more."""
    (config_dir / NAME).unlink(missing_ok=True)
    sync_folder(config_dir)


def put(path: Path, content: bytes, like: Path | None = None) -> None:
    """Put a file in its place whole: written aside, on the disk, then renamed.

    like: a file whose owner, mode, access list and labels it gets; without one it is root's alone.
    """
    aside = aside_of(path)
    aside.unlink(missing_ok=True)
    try:
        file = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as writer:
            writer.write(content)
            if like:
                known = like.stat()
                os.fchown(file, known.st_uid, known.st_gid)
                shutil.copystat(like, aside)
            writer.flush()
            os.fsync(file)
        aside.rename(path)
        sync_folder(path.parent)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise PostfixError(f"{path}: {error.strerror}") from error


def aside_of(path: Path) -> Path:
    """Where a file is written before it is renamed into its place."""
    return path.with_name(f".{path.name}.postmask")


def _record(told: Any) -> Record:
    return Record(_configuration(told["original"]), _configuration(told["attached"]))


def _told_record(record: Record) -> dict[str, dict[str, str]]:
    return {"original": _told(record.original), "attached": _told(record.attached)}


def _configuration(told: Any) -> Configuration:
    return Configuration(_text(base64.b64decode(told["main.cf"])), _text(base64.b64decode(told["master.cf"])))


def _told(configuration: Configuration) -> dict[str, str]:
    return {
        "main.cf": base64.b64encode(octets(configuration.main)).decode(),
        "master.cf": base64.b64encode(octets(configuration.master)).decode(),
    }


def octets(text: str) -> bytes:
    """A file's content as it lies on the disk."""
    return text.encode("utf-8", "surrogateescape")


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")
