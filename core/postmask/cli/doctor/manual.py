"""The manual page postmask-doctor(7), written from the doctor's groups and codes.

    python3 -m postmask.cli.doctor.manual > docs/man/postmask-doctor.7

STANDARDS
    man(7): the classic macros, which every man program reads.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

from postmask.cli.doctor.groups import ALL
from postmask.doctor import examination
from postmask.doctor.finding import Code
from postmask.roff import example, tagged, text


def page() -> str:
    """The whole page."""
    lines = [
        '.\\" Written from the codes: python3 -m postmask.cli.doctor.manual',
        '.TH POSTMASK-DOCTOR 7 "" Postmask "Postmask manual"',
        ".SH NAME",
        text("postmask-doctor - what postmask doctor finds, why it matters, and what to do"),
        ".SH SYNOPSIS",
        *example(["postmask doctor", "postmask doctor --changes", "postmask doctor --send [ALIAS]"]),
        ".SH DESCRIPTION",
        text(
            "postmask doctor looks at groups of things side by side. What it finds is told with a code, which"
            " never means anything else in a later version. An error: mail is lost, refused or let through"
            " wrongly. A warning: it may come to that. A notice is worth knowing, and changes no exit status."
        ),
        *(line for group in ALL for line in _group(group.name, group.what, group.codes)),
        *_group("The doctor itself", "Of any group.", examination.CODES),
        ".SH SEE ALSO",
        ".BR postmask (1),",
        ".BR postmask.toml (5),",
        ".BR postmask-postfix (5)",
    ]
    return "\n".join(lines) + "\n"


def _group(name: str, what: str, codes: Iterable[Code]) -> Iterator[str]:
    yield f".SH {text(name.upper())}"
    yield text(what)
    for code in sorted(codes, key=lambda code: code.id):
        yield from tagged(
            f"{code.id} ({code.severity})", [f"{code.sentence} {code.why}", f"What to do: {code.advice}"]
        )


if __name__ == "__main__":
    sys.stdout.write(page())
