"""Settings as people and programs get to see them: as TOML, with secrets masked.

DIAGNOSTICS
    None. A secret is shown as ***, so is a password in a URL, wherever in the URL it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postmask.config.declare import declared
from postmask.config.kinds import DATABASE, ENDPOINT, SECRET
from postmask.config.sections import SECTIONS, Settings

_USER_PASSWORD = re.compile(r"(://[^:/@]*:).*@")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_QUERY_PASSWORD = re.compile(r"([?&][a-z]*password=)[^&]*")


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting.

    value:  as TOML has it, None if unset, with secrets masked.
    origin: default, file or credential.
    """

    name: str
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value as it would stand in the file."""
        return toml(self.value)


def shown(settings: Settings) -> Iterator[Shown]:
    """Every setting with its value and where that comes from, in the order of the manual page."""
    for setting in declared(SECTIONS):
        value = plain(getattr(getattr(settings, setting.section), setting.attribute))
        if setting.kind is DATABASE:
            value = masked(value)
        elif setting.kind is SECRET:
            value = value and "***"
        elif setting.kind is ENDPOINT and value.startswith("/"):
            value = f"unix:{value}"
        yield Shown(setting.name, value, settings.origins[setting.name])


def masked(url: str) -> str:
    """A URL without its passwords."""
    return _QUERY_PASSWORD.sub(r"\1***", _USER_PASSWORD.sub(r"\1***@", url))


def plain(value: Any) -> Any:
    """A setting's value as TOML and JSON know it."""
    match value:
        case Path():
            return str(value)
        case (str(host), int(port)):
            return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        case tuple():
            return [plain(entry) for entry in value]
        case float() if value.is_integer():
            return int(value)
        case _:
            return value


def toml(value: object) -> str:
    """A value as TOML writes it; "" for None, which TOML doesn't have."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str():
            return _string(value)
        case list():
            return "[" + ", ".join(map(toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_key(key)} = {toml(entry)}" for key, entry in value.items()) + "}"
        case _:
            return str(value)


def _string(text: str) -> str:
    """A basic string. JSON's escapes are TOML's; what else can't be shown is escaped too."""
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in quoted)


def _key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _string(key)
