"""The field X-Postmask-Spam: what the spam check said, for the reader and for the mailbox's own rules.

    X-Postmask-Spam: yes; ratio=2.35 engine=spamd symbols=BAYES_99, URIBL_BLACK
    X-Postmask-Spam: unscanned; spamd timeout, rspamd breaker open

DIAGNOSTICS
    None.
"""

from __future__ import annotations

from postmask.message.evidence import SpamNote
from postmask.message.headers import Field, fold, make_field

FIELD = "X-Postmask-Spam"

SPAM = 1.0
"""The ratio of score to threshold from which on an engine itself speaks of spam."""


def spam_field(note: SpamNote, mark: float = SPAM) -> Field:
    """The field. mark: the ratio from which on it says yes; infinity for never."""
    if note.ratio is None:
        return make_field(FIELD, f"unscanned; {note.unscanned}")
    head = [f"{'yes' if note.ratio >= mark else 'no'};", f"ratio={note.ratio:.2f}", f"engine={note.engine}"]
    if not note.symbols:
        return fold(FIELD, [part.encode("ascii") for part in head])
    symbols = [f"{symbol}," for symbol in note.symbols[:-1]] + [note.symbols[-1]]
    listed = [f"symbols={symbols[0]}", *symbols[1:]]
    return fold(FIELD, [part.encode("ascii") for part in (*head, *listed)])
