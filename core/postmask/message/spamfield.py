"""The field X-Postmask-Spam: what the spam check said, for the reader and for the mailbox's own rules.

    X-Postmask-Spam: yes; ratio=2.35 engine=spamd symbols=BAYES_99, URIBL_BLACK
    X-Postmask-Spam: yes; dmarc=quarantine ratio=0.20 engine=spamd
    X-Postmask-Spam: unscanned; spamd timeout, rspamd breaker open

DIAGNOSTICS
    None.
"""

from __future__ import annotations

from postmask.message.evidence import SpamNote
from postmask.message.headers import Field, fold, make_field

FIELD = "X-Postmask-Spam"


def spam_field(note: SpamNote | None, *, marked: bool, quarantined: bool = False) -> Field:
    """The field. note: None where no engine is set up. marked: it says yes. quarantined: since the author's
    domain asks for quarantine by DMARC."""
    says = ["yes;" if marked else "no;", *(["dmarc=quarantine"] if quarantined else [])]
    if note is None:
        return make_field(FIELD, " ".join(says))
    if note.ratio is None:
        why = f"unscanned; {note.unscanned}"
        return make_field(FIELD, " ".join([*says, why]) if marked else why)
    head = [*says, f"ratio={note.ratio:.2f}", f"engine={note.engine}"]
    if not note.symbols:
        return fold(FIELD, [part.encode("ascii") for part in head])
    symbols = [f"{symbol}," for symbol in note.symbols[:-1]] + [note.symbols[-1]]
    listed = [f"symbols={symbols[0]}", *symbols[1:]]
    return fold(FIELD, [part.encode("ascii") for part in (*head, *listed)])
