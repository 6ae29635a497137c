"""From the wanted settings to lines: main.cf values merged with the site's, master.cf entries.

What we add to a list of the site's is one short word. Where our element is longer than a word it stands in
a parameter of its own, its holder, and the word refers to it: the site's lists stay legible, and ours can
be told from the rest, moved and taken away. All functions are pure. Merging a word that is already there
changes nothing, wherever in the list the site has moved it.

DIAGNOSTICS
    KeyError for a placeholder that SettingsContext doesn't have (a mistake in parameters or services);
    ValueError for a command that can't be written in master.cf.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from postmask_postfix.client import PYTHON
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.services import SERVICES, WORDS
from postmask_postfix.settings import Merge, Parameter, Service, SettingsContext

_PLACEHOLDER = re.compile(r"<([a-z_]+)>")
PLAIN_WORD = re.compile(r"[^\s{}$]+")

LISTS = tuple(parameter for parameter in PARAMETERS if parameter.merge is not Merge.SET)
"""The parameters that we share with the site."""


def main_cf(context: SettingsContext, current: Mapping[str, str]) -> dict[str, str]:
    """The parameters to set: name -> new value. current: the site's values, as `postconf -h` prints them."""
    wanted: dict[str, str] = {}
    for parameter in PARAMETERS:
        value = merged(parameter, member(parameter, context), current.get(parameter.name, ""))
        if value is not None:
            wanted |= holder(parameter, context)
            wanted[parameter.name] = value
    return wanted


def holder_name(parameter: Parameter) -> str | None:
    """The parameter that holds our element of a list; None where the element is one word."""
    if parameter.merge is Merge.SET or PLAIN_WORD.fullmatch(parameter.value):
        return None
    return f"postmask_{parameter.name}"


def holder(parameter: Parameter, context: SettingsContext) -> dict[str, str]:
    """The holder with its value; nothing where there is none."""
    name = holder_name(parameter)
    return {name: fill(parameter.value, context)} if name else {}


def member(parameter: Parameter, context: SettingsContext) -> str:
    """What stands in the parameter itself: our value, or the word in the site's list."""
    name = holder_name(parameter)
    return f"${name}" if name else fill(parameter.value, context)


def merged(parameter: Parameter, ours: str, site: str) -> str | None:
    """The value after merging; None where the parameter is to be left alone."""
    site = site.strip()
    match parameter.merge:
        case Merge.SET:
            return ours
        case Merge.APPEND_IF_SET if not site:
            return None
        case _ if ours in re.split(r"[\s,]+", site):
            return site
        case Merge.PREPEND:
            return f"{ours}, {site}" if site else ours
        case Merge.APPEND | Merge.APPEND_IF_SET:
            return f"{site}, {ours}" if site else ours


def master_cf(context: SettingsContext, services: Iterable[Service] = SERVICES) -> str:
    """The master.cf entries, one logical line a service."""
    return "".join(entry(service, context) for service in services)


def entry(service: Service, context: SettingsContext) -> str:
    """One master.cf entry: name, type, private, unprivileged, chroot, wakeup, maxproc, command."""
    private = "-" if service.private else "n"
    unprivileged = "-" if service.unprivileged else "n"
    processes = fill(service.processes, context)
    lines = [f"{service.name} unix {private} {unprivileged} n - {processes} {service.command}"]
    options = ((option.name, fill(option.value, context, service.name)) for option in service.options)
    lines += [f"  -o {{ {name} = {value} }}" for name, value in options]
    lines += [f"  {fill(argument, context)}" for argument in service.arguments]
    return "\n".join(lines) + "\n"


def fill(template: str, context: SettingsContext, service: str = "") -> str:
    """The template with each <name> replaced by that attribute of the context."""

    def value(match: re.Match[str]) -> str:
        name = match.group(1)
        if name == "service":
            return service
        if name == "pipe_command":
            return " ".join([*map(word, context.pipe_argv), *(fill(text, context) for text in WORDS)])
        if not hasattr(context, name):
            raise KeyError(f"no <{name}> in SettingsContext")
        return str(getattr(context, name))

    return _PLACEHOLDER.sub(value, template)


def word(text: str) -> str:
    """One word of pipe(8)'s argv: in braces where it has white space (pipe(8), argv)."""
    if "\n" in text or "$" in text or text.count("{") != text.count("}") or text != text.strip():
        raise ValueError(f"this can't be written as a word in master.cf: {text!r}")
    return text if PLAIN_WORD.fullmatch(text) else f"{{{text}}}"


def pipe_argv(directory: str) -> tuple[str, ...]:
    """The command that runs the client `postmask_pipe.py` in a folder.

    Success is an explicit act: an empty, cut-off or damaged file can't exit 0, and what can't even be
    imported is one line that defers, not a traceback. It ends without the interpreter's own farewell,
    which is a seventh of all that the client costs.
    """
    if not re.fullmatch(r"[A-Za-z0-9/._+=,@-]+", directory):
        raise ValueError(f"the folder of the pipe client may not have such a name: {directory!r}")
    program = (
        "import posix, sys; "
        'sys.excepthook = lambda kind, *rest: print("4.3.0 postmask: client broken: " + kind.__name__); '
        f'sys.path.insert(0, "{directory}"); '
        "import postmask_pipe as m; "
        'posix._exit(0 if m.main(sys.argv[1:]) == "delivered" else 75)'
    )
    return (PYTHON, "-I", "-S", "-c", program, "--")
