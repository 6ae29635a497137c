"""The settings of the spam check for one alias, account or domain: options of add and edit, lines of show.

The options are called as the settings: --spam-hold for spam.hold. What counts in the end is shown value
by value, with where it comes from.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from postmask.cli.command import choice
from postmask.config.kinds import PREFIX, RATIO, Kind, Unfit
from postmask.directory.records import POLICY_NAMES, DmarcQuarantine, SpamPolicy, WhenUnscanned

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from postmask.alias.sifting import SpamRules
    from postmask.cli.runtime import Runtime
    from postmask.store.admin.policies import Values
    from postmask.store.admin.rules import Target

F = TypeVar("F", bound=Callable[..., Any])

NEVER = "never"

_ALL = "all"
_INHERIT = "spam_inherit"


class _Read(click.ParamType[Any]):
    """A value as the setting takes it."""

    def __init__(self, kind: Kind, expected: str, parse: Callable[[str], object]) -> None:
        self.name = kind.type
        self._kind = kind
        self._expected = expected
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Refuse what isn't fit."""
        try:
            return self._kind.read(self._parse(value))
        except (Unfit, ValueError):
            self.fail(f"{value!r} isn't {self._expected}", param, ctx)


def _number(text: str) -> float:
    return math.inf if text == NEVER else float(text)


_RATIO = _Read(RATIO, "a number above 0, like 1.5, or never", _number)
_PREFIX = _Read(PREFIX, PREFIX.expected, str)

_OPTIONS: Mapping[str, tuple[click.ParamType[Any], str | None, str]] = {
    "mark": (
        _RATIO,
        "RATIO",
        "From which score on, divided by the engine's threshold, mail is called spam.",
    ),
    "hold": (_RATIO, "RATIO", "From where on it is held."),
    "discard": (_RATIO, "RATIO", "From where on it is discarded, with a record."),
    "refuse": (_RATIO, "RATIO", "From where on it is refused."),
    "hold_replies": (_RATIO, "RATIO", "From where on a reply is held."),
    "when_unscanned": (choice(WhenUnscanned), None, "What becomes of a message that no engine has judged."),
    "dmarc_quarantine": (choice(DmarcQuarantine), None, "What becomes of one that DMARC wants quarantined."),
    "subject_prefix": (_PREFIX, "TEXT", "What the subject of a marked copy begins with; '' for nothing."),
}


def spam_options(function: F) -> F:
    """The options, handed over together as `spam`: values by name."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        given = {name: options.pop(f"spam_{name}") for name in POLICY_NAMES}
        spam = {name: value for name, value in given.items() if value is not None}
        return function(*arguments, spam=spam, **options)

    decorated: Any = command
    for name in reversed(POLICY_NAMES):
        kind, metavar, text = _OPTIONS[name]
        decorated = click.option(_option(name), type=kind, metavar=metavar, help=text)(decorated)
    result: F = decorated
    return result


def spam_edit_options(function: F) -> F:
    """The same and --spam-inherit, which makes a value None: as elsewhere."""

    @functools.wraps(function)
    def command(*arguments: Any, spam: dict[str, Any], **options: Any) -> Any:
        for name in _taken_back(options.pop(_INHERIT)):
            if name in spam:
                raise click.UsageError(f"{_option(name)} can't be set and be as elsewhere at the same time")
            spam[name] = None
        return function(*arguments, spam=spam, **options)

    inherit = click.option(
        _option("inherit"),
        type=click.Choice([*(name.replace("_", "-") for name in POLICY_NAMES), _ALL]),
        multiple=True,
        help="Take one of these back, or all: as elsewhere from now on.",
    )
    decorated: Any = inherit(command)
    result: F = spam_options(decorated)
    return result


def changed(runtime: Runtime, session: Session, target: Target, spam: Values) -> object:
    """Set what was given with the options; then as shown."""
    from postmask.alias.sifting import rules_of
    from postmask.store.admin import policies

    if spam:
        policies.change(session, target, spam, rules_of(runtime.settings.spam))
    return shown(runtime, session, target)


def shown(runtime: Runtime, session: Session, target: Target) -> object:
    """What counts for the target, and where it comes from; for JSON by name, for people in lines."""
    from postmask.alias.sifting import effective, origin, rules_of
    from postmask.store.admin import policies

    found = policies.counting(session, target)
    rules = effective(rules_of(runtime.settings.spam), found)
    if not runtime.output.json:
        return worded(rules, found)
    return {
        name: {"value": _plain(getattr(rules, name)), "from": origin(found, name)} for name in POLICY_NAMES
    }


def worded(rules: SpamRules, policies: Sequence[SpamPolicy]) -> list[str]:
    """The same in words, a rule each."""
    from postmask.alias.sifting import origin

    return [
        f"{name.replace('_', ' ')}: {_plain(getattr(rules, name)) or '-'} ({origin(policies, name)})"
        for name in POLICY_NAMES
    ]


def _plain(value: float | str) -> float | str:
    return NEVER if value == math.inf else value


def _option(name: str) -> str:
    return f"--spam-{name.replace('_', '-')}"


def _taken_back(named: Sequence[str]) -> Sequence[str]:
    return POLICY_NAMES if _ALL in named else [name.replace("-", "_") for name in named]
