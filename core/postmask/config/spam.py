"""The settings of the spam check, declared like all others in postmask.config.sections."""

# ruff: noqa: RUF009 - `setting` is dataclasses.field() with its metadata filled in

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from postmask.config.declare import Derived, Known, setting
from postmask.config.kinds import ENDPOINT, PATH, PREFIX, RATIO, SECRET, one_of, seconds, some_of, whole


def _spool_folder(known: Known) -> Path:
    return Path(known["spool.path"] or "/").parent  # None where it was no path


@dataclass(frozen=True, slots=True)
class Spam:
    """The spam check: which engines are asked, and for how long. None is, unless engines are named."""

    engines: tuple[str, ...] = setting(
        some_of("spamd", "rspamd"),
        [],
        "Whom to ask, in this order: the next one only if the one before it has not judged.",
    )
    budget: float = setting(
        seconds(0.5, 120), 10.0, "How long the check of one message may take, all engines together."
    )
    max_in_flight: int = setting(
        whole(1, 10_000),
        100,
        "How many messages a program may be checking at once. Further ones are not checked.",
    )
    when_unscanned: str = setting(
        one_of("tag", "hold", "defer"),
        "tag",
        "What becomes of a message that no engine has judged: delivered with a header field that says so "
        "and why, put on hold, or deferred: to the sender where it is so for all recipients, else in the "
        "queue.",
    )
    dmarc_quarantine: str = setting(
        one_of("mark", "hold"),
        "mark",
        "What becomes of a message that fails DMARC where the author's domain asks for quarantine: it is "
        "called spam, or put on hold.",
    )
    mark: float = setting(
        RATIO,
        1.0,
        "From which score on, divided by the engine's threshold, the copy is called spam in X-Postmask-Spam. "
        "None of an allowed contact is, nor held, discarded or refused.",
    )
    hold: float = setting(RATIO, math.inf, "From where on it is put on hold.")
    discard: float = setting(RATIO, math.inf, "From where on it is discarded, with a record.")
    refuse: float = setting(
        RATIO,
        math.inf,
        "From where on it is refused: while it comes in, where that is so for all recipients; afterwards to "
        "a sender who has logged in alone, and put on hold from everybody else.",
    )
    hold_replies: float = setting(RATIO, 1.0, "From where on a reply is put on hold, and its owner told.")
    subject_prefix: str = setting(
        PREFIX, "", 'What the subject of a copy begins with that is called spam, like "[SPAM]".'
    )
    directory: Path = setting(
        PATH,
        Derived("the folder of spool.path", _spool_folder),
        "The folder of the switch that postmask spam bypass sets, and of the programs' figures.",
    )
    breaker_failures: int = setting(
        whole(1, 100),
        4,
        "After so many failures in a row, or within breaker_window, an engine isn't asked for a while.",
    )
    breaker_window: float = setting(
        seconds(0, 3600), 10.0, "Within this time as many failures count, whatever succeeded between them."
    )
    breaker_rest: float = setting(
        seconds(0.1, 3600),
        60.0,
        "How long such an engine isn't asked, before one message tries it. Doubled whenever that fails.",
    )
    breaker_longest_rest: float = setting(seconds(0.1, 86_400), 600.0, "How long at most.")
    breaker_spread: int = setting(
        whole(0, 90, "percent"), 40, "By how much these times are longer or shorter, by chance."
    )


@dataclass(frozen=True, slots=True)
class Spamd:
    """SpamAssassin's spamd, where spam.engines names it."""

    address: Path | tuple[str, int] = setting(ENDPOINT, "127.0.0.1:783", "Where it listens.")
    connect: float = setting(seconds(0.05, 60), 1.0, "How long connecting to it may take.")
    total: float = setting(seconds(0.1, 120), 4.0, "How long all of it may take, with connecting.")
    size_limit: int = setting(
        whole(1024, 2_000_000_000, "octets"),
        524_288,
        "Larger messages are left to the next engine. spamd takes some 0.8 s for one of this size.",
    )


@dataclass(frozen=True, slots=True)
class Rspamd:
    """Rspamd, where spam.engines names it."""

    address: Path | tuple[str, int] = setting(
        ENDPOINT, "127.0.0.1:11333", "Where a normal worker listens, or the controller."
    )
    controller: Path | tuple[str, int] = setting(
        ENDPOINT, "127.0.0.1:11334", "Where the controller listens, which learns from reports."
    )
    password: str = setting(SECRET, "", "The controller's password.")
    connect: float = setting(seconds(0.05, 60), 1.0, "How long connecting to it may take.")
    total: float = setting(seconds(0.1, 120), 4.0, "How long all of it may take, with connecting.")
    size_limit: int = setting(
        whole(1024, 2_000_000_000, "octets"),
        10_485_760,
        "Larger messages are left to the next engine. Not above Rspamd's own max_message.",
    )
