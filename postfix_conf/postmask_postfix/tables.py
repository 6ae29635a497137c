"""The elements of Postfix's lists, and what its tables say to our addresses.

DIAGNOSTICS
    PostfixError when a table can't be asked.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from postmask_postfix import commands

_READ_OUT = ("btree", "dbm", "hash", "inline", "lmdb", "sdbm", "texthash")
"""The kinds of tables that say all that they hold."""
_IN_LINES = ("cidr", "pcre", "regexp")
"""The kinds whose patterns stand in a file one a line, and in braces in a parameter."""
_LONGEST = 100_000
"""Octets; Linux lets no argument have more than 128 KB."""
_TABLE = re.compile(r"[a-z]+:.")


def elements(value: str) -> list[str]:
    """The elements of a list: by commas and white space, what is in braces whole."""
    found, element, depth = [], "", 0
    for letter in f"{value} ":
        if depth == 0 and letter in ", \t\r\n":
            found += [element] if element else []
            element = ""
            continue
        depth += {"{": 1, "}": -1}.get(letter, 0)
        element += letter
    return _with_their_braces(found)


def _with_their_braces(found: list[str]) -> list[str]:
    """`regexp:` and the table in braces behind it are one element, whether or not there is white space."""
    whole: list[str] = []
    for element in found:
        if whole and re.fullmatch(r"[a-z]+:", whole[-1]):
            whole[-1] += element
        else:
            whole.append(element)
    return whole


def listed(config_dir: Path, list_elements: Iterable[str]) -> set[str] | None:
    """All names of a list's elements, in lower case; None where a table of it can't be read out."""
    names: set[str] = set()
    for element in _with_files(list_elements):
        if not _TABLE.match(element):
            names.add(element.removeprefix("!").lower())
            continue
        table = element.removeprefix("proxy:")
        if table.partition(":")[0] not in _READ_OUT:
            return None
        names |= {key.lower() for key in keys(config_dir, table)}
    return names


def answers(config_dir: Path, table: str, keys: list[str]) -> dict[str, str]:
    """What a table says to each of the keys that it knows. Raises PostfixError when it can't be asked."""
    asked = _postmap(config_dir, "-q", "-", table=table, stdin="\n".join([*keys, ""]))
    # Status 1 without a word means that none was found. A site's main.cf may make every command say
    # something, so words alone are no failure.
    if asked.returncode not in (0, 1) or (asked.returncode and "fatal:" in asked.stderr):
        raise commands.PostfixError(f"Postfix can't ask {table}: {asked.stderr.strip()}")
    found = (line.partition("\t") for line in asked.stdout.splitlines())
    return {key: value for key, _, value in found}


def keys(config_dir: Path, table: str) -> list[str]:
    """All keys of a table of a kind that can be read out. Raises PostfixError when it can't."""
    told = _postmap(config_dir, "-s", table=table)
    if told.returncode:
        raise commands.PostfixError(f"Postfix can't read {table}: {told.stderr.strip()}")
    return [line.partition("\t")[0] for line in told.stdout.splitlines()]


def _postmap(config_dir: Path, *words: str, table: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    # Where Postfix's daemons are at home: a socket may be named relative to it.
    queue = commands.queue_directory(config_dir)
    with _argument(table) as name:
        command = ["postmap", "-c", str(config_dir), *words, name]
        return commands.finished(command, stdin, queue if queue.is_dir() else None)


@contextlib.contextmanager
def _argument(table: str) -> Iterator[str]:
    """The table as a command can be given it: in a file where it is too long for an argument."""
    kind, _, patterns = table.partition(":")
    if len(table.encode(errors="surrogateescape")) <= _LONGEST or kind not in _IN_LINES:
        yield table
        return
    with tempfile.NamedTemporaryFile(
        "w", prefix="postmask-table-", encoding="utf-8", errors="surrogateescape"
    ) as file:
        file.writelines(f"{line[1:-1].strip()}\n" for line in elements(patterns.strip()[1:-1]))
        file.flush()
        yield f"{kind}:{file.name}"


def known(config_dir: Path, value: str, keys: Iterable[str]) -> dict[str, str]:
    """What a list says to the keys that it knows: plain names, names in files, and tables."""
    asked = {key.lower(): key for key in keys}
    found: dict[str, str] = {}
    for element in _with_files(elements(value)):
        if _TABLE.match(element):
            # Without its proxy, which answers only while Postfix runs.
            table = element.removeprefix("proxy:")
            told = answers(config_dir, table, [key for key in asked if asked[key] not in found])
            found |= {asked[key]: answer for key, answer in told.items() if key in asked and answer}
        elif element.lower() in asked:
            found[asked[element.lower()]] = element
    return found


def _with_files(list_elements: Iterable[str]) -> Iterator[str]:
    """The elements; in the place of a file's name those in the file, where # begins a line that is none."""
    for element in list_elements:
        name = element.removeprefix("!")
        if not name.startswith("/"):
            yield element
            continue
        try:
            lines = Path(name).read_text(encoding="utf-8", errors="replace").split("\n")
        except OSError as error:
            raise commands.PostfixError(f"{name}: {error.strerror}") from error
        inner = (one for line in lines if not line.startswith("#") for one in elements(line))
        yield from (element.removesuffix(name) + one for one in _with_files(inner))
