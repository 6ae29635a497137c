"""The wanted settings as text, for people who attach by other means: lines, or commands. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from postmask_postfix import render
from postmask_postfix.attachment.plan import word
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.services import SERVICES
from postmask_postfix.settings import Merge, Parameter, SettingsContext

MERGING = {
    Merge.SET: "Postmask's own.",
    Merge.PREPEND: "A list; ours stands first.",
    Merge.APPEND: "A list; ours stands last.",
    Merge.APPEND_IF_SET: "A list; ours stands last, and only where the site has one.",
}
"""How a parameter meets the site's own value, in a sentence."""


def lines(context: SettingsContext) -> Iterator[str]:
    """main.cf and master.cf as on a Postfix that has nothing in the lists."""
    yield "# main.cf"
    for parameter in PARAMETERS:
        for name, value in render.holder(parameter, context).items():
            yield f"{name} = {value}"
        if parameter.merge is not Merge.SET:
            yield f"# {MERGING[parameter.merge]}"
        yield f"{parameter.name} = {render.member(parameter, context)}"
    yield "# master.cf"
    yield from render.master_cf(context).splitlines()


def commands(context: SettingsContext) -> Iterator[str]:
    """What a shell runs to have them, once or again: postconf -e and -M, the site's lists kept."""
    for parameter in PARAMETERS:
        steps = [_set(name, value) for name, value in render.holder(parameter, context).items()]
        if parameter.merge is Merge.SET:
            yield _set(parameter.name, render.member(parameter, context))
        elif parameter.merge is Merge.APPEND_IF_SET:
            yield f"[ -z {_site(parameter)} ] || {{ {'; '.join([*steps, _merge(parameter)])}; }}"
        else:
            yield from (*steps, _merge(parameter))
    for service in SERVICES:
        # postconf -M takes one logical line.
        entry = " ".join(render.entry(service, context).split())
        yield f"postconf -M {shlex.quote(f'{service.name}/unix={entry}')}"


def _set(name: str, value: str) -> str:
    return f"postconf -e {shlex.quote(f'{name} = {value}')}"


def _merge(parameter: Parameter) -> str:
    name, ours, site = parameter.name, shlex.quote(word(parameter)), _site(parameter)
    pair = f"{ours},{site}" if parameter.merge is Merge.PREPEND else f"{site},{ours}"
    return f"postconf -h {name} | grep -qF {ours} || postconf -e {name}={pair}"


def _site(parameter: Parameter) -> str:
    return f'"$(postconf -h {parameter.name})"'
