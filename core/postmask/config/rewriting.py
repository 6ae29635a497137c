"""Other values for settings of a section, written into the file, and all else left as it stands there.

DIAGNOSTICS
    ConfigError: the section is written in a way that only a person can change (as an inline table, with
    dotted keys, over several lines), or the file can't be read. OSError: the file can't be written.

STANDARDS
    TOML 1.0.0.
"""

from __future__ import annotations

import os
import re
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path

from postmask.config.reading import ConfigError
from postmask.config.showing import toml
from postmask.disk import sync_folder

_HEADER = re.compile(r"[ \t]*\[[ \t]*(?P<name>[A-Za-z0-9_-]+)[ \t]*\][ \t]*(?:#.*)?\r?\n?")
_ANY_HEADER = re.compile(r"[ \t]*\[")
_ENTRY = re.compile(
    r"""(?P<head>[ \t]*"?(?P<key>[A-Za-z0-9_-]+)"?[ \t]*=[ \t]*)"""
    r"""(?:"(?!"")(?:[^"\\]|\\.)*"|'(?!'')[^']*')"""
    r"""(?P<tail>[ \t]*(?:#.*)?\r?\n?)"""
)


def rewritten(text: str, file: Path, section: str, values: Mapping[str, str]) -> str:
    """The text with these strings in the section; a key or section that isn't there is added.

    Raises ConfigError.
    """
    lines = text.splitlines(keepends=True)
    begin = next((n for n, line in enumerate(lines) if _names(line, section)), None)
    if begin is None:
        gap = "" if not text else "\n" if text.endswith("\n") else "\n\n"
        added = "".join(_entry(key, value) for key, value in values.items())
        new = f"{text}{gap}[{section}]\n{added}"
    else:
        new = "".join(_with_values(lines, begin, values))
    if _values(new) != _expected(text, section, values):
        raise ConfigError(
            file, [f"[{section}] is written in a way that isn't understood here; change it by hand"]
        )
    return new


def rewrite(file: Path, section: str, values: Mapping[str, str]) -> None:
    """The same in the file itself: exchanged as a whole, owner and mode kept, on the disk on return."""
    real = Path(os.path.realpath(file))
    before = real.stat()
    text = rewritten(_read(real), file, section, values)
    descriptor, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as writing:
            if (os.geteuid(), os.getegid()) != (before.st_uid, before.st_gid):
                os.fchown(descriptor, before.st_uid, before.st_gid)
            os.fchmod(descriptor, before.st_mode & 0o7777)
            writing.write(text)
            writing.flush()
            os.fsync(descriptor)
        temporary.replace(real)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(real.parent)


def _read(file: Path) -> str:
    """As it is, line ends and byte order mark included."""
    try:
        with file.open(encoding="utf-8", newline="") as reading:
            return reading.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(file, [f"can't be read: {error}"]) from None


def _with_values(lines: list[str], begin: int, values: Mapping[str, str]) -> list[str]:
    """Values in their places; keys that have none, straight below the section's header."""
    end = next(
        (n for n, line in enumerate(lines) if n > begin and _ANY_HEADER.match(line)),
        len(lines),
    )
    left = dict(values)
    body = []
    for line in lines[begin + 1 : end]:
        entry = _ENTRY.fullmatch(line)
        if entry and entry["key"] in left:
            line = f"{entry['head']}{toml(left.pop(entry['key']))}{entry['tail']}"
        body.append(line)
    header = lines[begin] if lines[begin].endswith("\n") else f"{lines[begin]}\n"
    added = [_entry(key, value) for key, value in left.items()]
    return [*lines[:begin], header, *added, *body, *lines[end:]]


def _names(line: str, section: str) -> bool:
    header = _HEADER.fullmatch(line.removeprefix("\ufeff"))
    return header is not None and header["name"] == section


def _entry(key: str, value: str) -> str:
    return f"{key} = {toml(value)}\n"


def _values(text: str) -> dict[str, object] | None:
    """What a reader finds in it; None: nothing that is TOML."""
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError:
        return None


def _expected(text: str, section: str, values: Mapping[str, str]) -> dict[str, object]:
    """What a reader is to find in the new text: the old one's values, but for ours."""
    known = _values(text) or {}
    before = known.get(section, {})
    return {**known, section: {**(before if isinstance(before, dict) else {}), **values}}
