"""The elements of Postfix's lists, and what its tables say to our addresses.

DIAGNOSTICS
    PostfixError when a table can't be asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from postmask_postfix import commands

_READ_OUT = ("btree", "dbm", "hash", "inline", "lmdb", "sdbm", "texthash")
"""The kinds of tables that say all that they hold."""
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
    for element in list_elements:
        if not _TABLE.match(element):
            names |= _names_of(element.removeprefix("!"))
            continue
        table = element.removeprefix("proxy:")
        if table.partition(":")[0] not in _READ_OUT:
            return None
        names |= {key.lower() for key in commands.keys(config_dir, table)}
    return names


def known(config_dir: Path, value: str, keys: Iterable[str]) -> dict[str, str]:
    """What a list says to the keys that it knows: plain names, names in files, and tables."""
    asked = {key.lower(): key for key in keys}
    found: dict[str, str] = {}
    for element in elements(value):
        if element.startswith("!"):
            continue
        if _TABLE.match(element):
            # Without its proxy, which answers only while Postfix runs.
            table = element.removeprefix("proxy:")
            answers = commands.answers(config_dir, table, [key for key in asked if asked[key] not in found])
            found |= {asked[key]: answer for key, answer in answers.items() if key in asked and answer}
        else:
            found |= {asked[name]: element for name in _names_of(element) & set(asked)}
    return found


def _names_of(element: str) -> set[str]:
    """The name itself, or those in the file that it names."""
    if not element.startswith("/"):
        return {element.lower()}
    try:
        return set(Path(element).read_text(encoding="utf-8", errors="replace").lower().split())
    except OSError as error:
        raise commands.PostfixError(f"{element}: {error.strerror}") from error
