"""The manual page postmask.toml(5), written from the declared settings.

    python3 -m postmask.manual > docs/man/postmask.toml.5

STANDARDS
    man(7): the classic macros, which every man program reads.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from itertools import groupby

from postmask.config import DEFAULT_FILE, FILE_VARIABLE
from postmask.config.declare import Derived, Setting, declared
from postmask.config.sections import SECTIONS
from postmask.config.showing import toml
from postmask.roff import example, tagged, text

_URLS = (
    (
        "postgresql://user:password@db1,db2:5433/postmask",
        "Several hosts. The one that takes writes is used, and asked first from then on. "
        "Each gets its share of the time, so that one which is switched off holds up nobody.",
    ),
    (
        "postgresql://user:password@[2001:db8::5]:5432/postmask",
        "An IPv6 address stands in brackets.",
    ),
    (
        "postgresql://user:password@%2Frun%2Fpostgresql/postmask",
        "A Unix socket, by its folder. The same is postgresql://user:password@/postmask?host=/run/postgresql.",
    ),
    (
        "postgresql://user:password@db1/postmask?sslmode=verify-full",
        "TLS, with the server's certificate and name checked; &sslrootcert=/etc/ssl/our-ca.pem names the "
        "authority. Without sslmode TLS is used where the server offers it, and nothing is checked.",
    ),
)

_EXAMPLE = """\
[database]
url = "postgresql://postmask_node:secret@db.example.com/postmask"
owner_url = "postgresql://postmask_owner:other@db.example.com/postmask"

[dns]
nameservers = ["127.0.0.1:5353"]

[postfix]
door = "lmtp"
"""


def page() -> str:
    """The whole page."""
    lines = [
        '.\\" Written from the declared settings: python3 -m postmask.manual',
        '.TH POSTMASK.TOML 5 "" Postmask "Postmask manual"',
        ".SH NAME",
        text("postmask.toml - the configuration of Postmask"),
        ".SH SYNOPSIS",
        text(str(DEFAULT_FILE)),
        ".SH DESCRIPTION",
        text(
            "One file in TOML configures all programs of Postmask on a machine. Every setting has a default: "
            "an empty file is a good one, a missing file is an error. An unknown section or key, a value "
            "of the wrong type and an impossible value are errors; all of them are told at once, each with "
            "the nearest name that is known."
        ),
        ".PP",
        text(
            "Durations are numbers of seconds, with or without a fraction. Paths are absolute. "
            "postmask config check reads the file and says what is wrong with it; "
            "postmask config show prints each setting as it is in force, and whether the file says so."
        ),
        *_settings(),
        ".SH ENVIRONMENT",
        *tagged(FILE_VARIABLE, ["The file to read instead. The option --config goes before it."]),
        *tagged(
            "CREDENTIALS_DIRECTORY",
            ["Set by systemd for a program with credentials; see keys.file."],
        ),
        ".SH DATABASES",
        *_databases(),
        ".SH EXAMPLE",
        *example(_EXAMPLE.splitlines()),
        ".SH SECURITY",
        text(
            "Where the file holds a password, others must not be able to read it. It is read by root and "
            "by the users that the programs run as, not by postfix.pipe_user. Passwords are masked in what "
            "postmask config show and error messages say."
        ),
        ".SH SEE ALSO",
        ".BR postmask (1),",
        ".BR postmask-postfix (5),",
        ".BR postmask-doctor (7),",
        ".BR postconf (5),",
        ".BR systemd.exec (5)",
    ]
    return "\n".join(lines) + "\n"


def _settings() -> Iterator[str]:
    for section, settings in groupby(declared(SECTIONS), key=lambda setting: setting.section):
        yield f".SH [{section}]"
        yield text(inspect.getdoc(SECTIONS[section]) or "")
        for setting in settings:
            yield from tagged(setting.attribute, [setting.doc, *_facts(setting)])


def _databases() -> Iterator[str]:
    yield text(
        "A URL of Postgres is libpq's, with all its parameters behind the question mark. In a user's name or "
        "password : / @ ? and % are written %3A %2F %40 %3F and %25. The replica needs a direct connection: "
        "through a transaction pooler changes arrive only at the next look (replica.poll)."
    )
    for url, doc in _URLS:
        yield from tagged(url, [doc])


def _facts(setting: Setting) -> Iterator[str]:
    yield f"Type: {setting.kind.type}, {setting.kind.expected}."
    if isinstance(setting.default, Derived):
        yield f"Default: {setting.default.text}."
    else:
        yield f"Default: {toml(setting.default)}"


if __name__ == "__main__":
    sys.stdout.write(page())
