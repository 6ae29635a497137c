"""postmask.toml read into Settings.

The file is /etc/postmask/postmask.toml, or what POSTMASK_CONFIG names, or what the caller names. An
empty file is a good one: every setting has a default.

DIAGNOSTICS
    ConfigError. Its text has a line for each problem found: file, key, what was expected, what is
    there instead, and for an unknown key the nearest known one. Passwords in URLs are masked.

STANDARDS
    TOML 1.0.0.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from postmask.config.declare import Derived, Setting, declared
from postmask.config.kinds import DATABASE, SECRET, Unfit
from postmask.config.sections import SECTIONS, Settings
from postmask.config.showing import toml
from postmask.display import printable

DEFAULT_FILE = Path("/etc/postmask/postmask.toml")

FILE_VARIABLE = "POSTMASK_CONFIG"


class ConfigError(Exception):
    """The configuration can't be used. problems: one text for each thing to correct."""

    def __init__(self, file: Path, problems: Iterable[str]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{file}: {problem}" for problem in self.problems))


def load(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the file that the caller names, else the environment, else the default file.

    Raises ConfigError, also when the file doesn't exist.
    """
    file = path or Path(environ.get(FILE_VARIABLE) or DEFAULT_FILE)
    try:
        text = file.read_bytes().decode("utf-8-sig")  # Windows editors leave a byte order mark
    except FileNotFoundError:
        raise ConfigError(
            file,
            [
                "no such file; create it (an empty one means the default of every setting), "
                f"or name another with --config or {FILE_VARIABLE}"
            ],
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(file, [f"is not UTF-8 at octet {error.start}; save it as UTF-8"]) from None
    except OSError as error:
        raise ConfigError(file, [f"can't be read: {error.strerror}"]) from None
    return read(text, file, environ)


def read(text: str, file: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of a text in TOML; the file is named in errors. Raises ConfigError."""
    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(file, [f"is not TOML: {printable(str(error))}"]) from None
    except (ValueError, RecursionError):
        raise ConfigError(
            file, ["is not TOML that we can read: nested too deeply, or a number too long"]
        ) from None
    settings = {setting.name: setting for setting in declared(SECTIONS)}
    problems = list(_unknown(given, settings))
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, setting in settings.items():
        section = given.get(setting.section)
        try:
            if isinstance(section, dict) and setting.attribute in section:
                origins[name], values[name] = "file", None
                values[name] = setting.kind.read(section[setting.attribute])
            else:
                origins[name], values[name] = "default", _default(setting, values)
        except Unfit:
            problems.append(_misfit(setting, section))
    if problems:
        raise ConfigError(file, problems)
    _use_credential(values, origins, environ)
    return _assembled(values, origins, file)


def _default(setting: Setting, known: Mapping[str, Any]) -> Any:
    if isinstance(setting.default, Derived):
        return setting.default.value(known)
    return setting.kind.read(setting.default)


def _misfit(setting: Setting, given: Any) -> str:
    """What to say of a value that isn't of the setting's kind."""
    if setting.kind in (DATABASE, SECRET):
        return f"{setting.name}: expected {setting.kind.expected}"  # there may be a password in it
    return f"{setting.name}: expected {setting.kind.expected}, not {_cut(toml(given[setting.attribute]))}"


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


def _unknown(given: Mapping[str, Any], settings: Mapping[str, Setting]) -> Iterator[str]:
    """A sentence for every section and key that nobody knows."""
    for section, content in given.items():
        if section not in SECTIONS:
            if isinstance(content, dict):
                yield f"[{printable(section)}]: no such section; {_nearest_section(section)}"
            else:
                yield f"{printable(section)}: stands in no section; {_advice('', section, settings)}"
        elif not isinstance(content, dict):
            yield f"{section}: expected a section, [{section}], not {_cut(toml(content))}"
        else:
            for key in content:
                if f"{section}.{key}" not in settings:
                    yield f"{section}.{printable(key)}: no such key; {_advice(section, key, settings)}"


def _nearest_section(name: str) -> str:
    near = difflib.get_close_matches(name, SECTIONS, n=1)
    return f"did you mean [{near[0]}]?" if near else f"the sections are {', '.join(SECTIONS)}"


def nearest_key(section: str, key: str, names: Collection[str]) -> str | None:
    """The one that was meant: looked for in the same section, then as the same key elsewhere, then anywhere.

    names: of the settings, "section.key".
    """
    name = f"{section}.{key}"
    siblings = [one for one in names if one.rpartition(".")[0] == section]
    namesakes = [one for one in names if one.rpartition(".")[2] == key]
    near = (
        difflib.get_close_matches(name, siblings, n=1)
        or namesakes
        or difflib.get_close_matches(name, names, n=1)
    )
    return near[0] if near else None


def _advice(section: str, key: str, settings: Mapping[str, Setting]) -> str:
    if near := nearest_key(section, key, settings):
        return f"did you mean {near}?"
    siblings = [setting.name for setting in settings.values() if setting.section == section]
    return f"known are {', '.join(siblings or settings)}"


def _use_credential(values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]) -> None:
    """Where systemd has given the program the file of secrets as a credential, take that one."""
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder:
        credential = Path(folder) / values["keys.file"].name
        if credential.exists():
            values["keys.file"], origins["keys.file"] = credential, "credential"


def _assembled(values: Mapping[str, Any], origins: Mapping[str, str], file: Path) -> Settings:
    sections: dict[str, Any] = {}
    for section, kind in SECTIONS.items():
        own = {
            name.partition(".")[2]: value for name, value in values.items() if name.startswith(f"{section}.")
        }
        sections[section] = kind(**own)
    return Settings(**sections, file=file, origins=MappingProxyType(dict(origins)))
