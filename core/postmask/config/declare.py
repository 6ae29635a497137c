"""How a setting is declared: kind, default and one sentence, in one place, as a dataclass field."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from postmask.config.kinds import Kind

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Known = Mapping[str, Any]
"""Values by full name ("database.url") that are settled already."""


@dataclass(frozen=True, slots=True)
class Derived:
    """A default that depends on the machine or on another setting. text: the same, for the manual."""

    text: str
    value: Callable[[Known], Any]


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting. attribute: its name in the section's dataclass."""

    section: str
    attribute: str
    kind: Kind
    default: Any
    doc: str

    @property
    def name(self) -> str:
        """As in the file: "database.url"."""
        return f"{self.section}.{self.attribute}"


def setting(kind: Kind, default: Any, doc: str) -> Any:
    """A dataclass field that is a setting. default: a value as in TOML, None (unset) or Derived."""
    return dataclasses.field(metadata={"kind": kind, "default": default, "doc": doc})


def declared(sections: Mapping[str, type[DataclassInstance]]) -> Iterator[Setting]:
    """All settings that the sections' dataclasses declare, in their order."""
    for section, kind in sections.items():
        for field in dataclasses.fields(kind):
            data = field.metadata
            yield Setting(section, field.name, data["kind"], data["default"], data["doc"])
