"""What was changed in an attached Postfix's configuration since, and whose it is. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from postmask_postfix import render
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment import lists, plan
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.attachment.services import listed

OURS = "Postmask"
SITE = "site"


@dataclass(frozen=True, slots=True)
class Difference:
    """setting: a parameter of main.cf, or a service/type of master.cf. whose: who the setting belongs to.
    left: as attaching left it. now: as it is; either is None where there is no such setting."""

    setting: str
    whose: str
    left: str | None
    now: str | None


def differences(left: Configuration, now: Configuration) -> tuple[Difference, ...]:
    """What differs from what attaching left. The set of our domains is no difference."""
    main = _compared(_parameters(left.main), _parameters(now.main), _whose_parameter)
    master = _compared(_services(left.master), _services(now.master), _whose_service)
    return (*main, *master)


def _parameters(text: str) -> dict[str, str]:
    found = files.main_cf(plan.settled(text))
    return {entry.name: files.value(entry) for entry in found if entry.name}


def _services(text: str) -> dict[str, str]:
    return {
        service.name: " ".join(files.without_comments(service.entry.text).split())
        for service in listed(files.master_cf(text))
    }


def _compared(
    left: Mapping[str, str], now: Mapping[str, str], whose: Callable[[str, str, str], bool]
) -> Iterator[Difference]:
    for name in dict.fromkeys([*left, *now]):
        then, there = left.get(name), now.get(name)
        if then != there:
            owner = OURS if whose(name, then or "", there or "") else SITE
            yield Difference(name, owner, then, there)


def _whose_parameter(name: str, left: str, now: str) -> bool:
    """Ours is a parameter of ours, and a list in which our word has come or gone."""
    words = {parameter.name: plan.word(parameter) for parameter in render.LISTS}
    return plan.is_ours(name) or (
        name in words and lists.has(left, words[name]) != lists.has(now, words[name])
    )


def _whose_service(name: str, left: str, now: str) -> bool:
    words = [plan.word(parameter) for parameter in render.LISTS]
    return plan.is_our_service(name) or any((word in left) != (word in now) for word in words)
