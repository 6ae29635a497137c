"""The manual page postmask-postfix(5), written from the wanted settings.

    python3 -m postmask_postfix.manual > docs/man/postmask-postfix.5

STANDARDS
    man(7): the classic macros, which every man program reads.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from postmask.roff import example, tagged, text
from postmask_postfix import render
from postmask_postfix.attachment import journal
from postmask_postfix.attachment.printing import MERGING
from postmask_postfix.parameters import PARAMETERS
from postmask_postfix.services import SERVICES
from postmask_postfix.settings import DOMAINS, GENERATION, HOST_DOMAINS, Parameter, Service

_DOMAINS = (
    "The set of our domains, as one alternation of a POSIX extended regular expression. Written by postmask "
    f"postfix attach and postmask postfix sync; when it gets long it is split into {DOMAINS}_1 and so on."
)
_HOST_DOMAINS = (
    "What lies below our domains and is the host's own, in the same form: names in mydestination, "
    "virtual_mailbox_domains, virtual_alias_domains and relay_domains, as attaching or syncing found them. "
    "It is .* where one of these has a table that can't be read out (regexp:, SQL, LDAP): the host alone "
    "then says what lies below our domains."
)
_GENERATION = (
    "A short name for the settings; the re-injection listener greets with it, so that one can wait for it."
)


def page() -> str:
    """The whole page."""
    lines = [
        '.\\" Written from the wanted settings: python3 -m postmask_postfix.manual',
        '.TH POSTMASK-POSTFIX 5 "" Postmask "Postmask manual"',
        ".SH NAME",
        text("postmask-postfix - what Postmask writes into main.cf and master.cf, and why"),
        ".SH SYNOPSIS",
        *example(["postmask postfix diff", "postmask postfix attach", "postmask postfix detach"]),
        ".SH DESCRIPTION",
        text(
            "postmask postfix attach adds these parameters and services to a Postfix, 3.7 or newer; postmask "
            "postfix detach takes them away. A list that other programs use too gets one short word of ours, "
            "which refers to a parameter of our own: smtpd_milters gets $postmask_smtpd_milters, for example."
        ),
        ".PP",
        text(
            "A service of master.cf that has such a list of its own by -o gets our word there too. A "
            "listener that takes mail back from a content filter (content_filter= empty, or "
            "receive_override_options with no_milters or no_unknown_recipient_checks) is left as it is, "
            "unless it is on port 25, 465 or 587 and not on loopback."
        ),
        ".PP",
        text(
            "Values in angle brackets differ from host to host: <sockets> is the folder of our sockets, "
            "relative to the queue directory where it lies below that; <nexthop> the door's transport."
        ),
        ".SH MAIN.CF",
        *(line for parameter in PARAMETERS for line in _parameter(parameter)),
        *tagged(DOMAINS, [_DOMAINS]),
        *tagged(HOST_DOMAINS, [_HOST_DOMAINS]),
        *tagged(GENERATION, [_GENERATION]),
        ".SH MASTER.CF",
        *(line for service in SERVICES for line in _service(service)),
        ".SH FILES",
        *tagged(
            journal.NAME,
            [
                "Beside main.cf: what attaching found and what it left, for detaching, and for whoever comes "
                "after an interruption. Only root can read it."
            ],
        ),
        ".SH SEE ALSO",
        ".BR postmask (1),",
        ".BR postmask.toml (5),",
        ".BR postconf (5),",
        ".BR master (5)",
    ]
    return "\n".join(lines) + "\n"


def _parameter(parameter: Parameter) -> Iterator[str]:
    holder = render.holder_name(parameter)
    facts = [parameter.why, MERGING[parameter.merge], f"Postfix {parameter.since} and newer."]
    facts.append(f"{'By ' + holder if holder else 'Value'}: {parameter.value}")
    yield from tagged(parameter.name, facts)


def _service(service: Service) -> Iterator[str]:
    yield f".SS {text(service.name)}"
    socket = "private" if service.private else "public"
    yield text(
        f"{service.why} Runs {service.command}, never in a chroot, with at most {service.processes} "
        f"processes (0: no limit); its socket is {socket}. Postfix {service.since} and newer."
    )
    for option in service.options:
        yield from tagged(option.name, [option.why, f"Value: {option.value or 'empty'}"])
    if service.arguments:
        yield from tagged("Arguments", [" ".join(service.arguments)])


if __name__ == "__main__":
    sys.stdout.write(page())
