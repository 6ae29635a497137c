"""The message with the code that confirms a mailbox.

DIAGNOSTICS
    CommandError (78) without an address to send from, (75) when the recipient has had too many.
    SpoolError when the node's spool can't be written: then nothing else was changed either.
"""

from __future__ import annotations

import os
from contextlib import closing
from shlex import quote
from typing import TYPE_CHECKING

from postmask.cli.failure import CommandError
from postmask.cli.ownership import make_like_folder
from postmask.cli.runtime import Runtime
from postmask.spool import Notice, Spool

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

KIND = "code"
MOST_AN_HOUR = 5
_SUBJECT = "Your confirmation code"
_TEXT = """\
Somebody, most likely you, wants mail to be forwarded to this address:

    {address}

If that is right, confirm it with this code, which is good for 24 hours:

    {code}

    postmask mailbox verify {argument} {code}

If it isn't, do nothing: nothing else will be sent here.
"""


def queue(runtime: Runtime, session: Session, address: str, code: str) -> None:
    """Have the forwarder of this node send the code."""
    sender = _sender(runtime, session)
    make_like_folder(runtime.settings.spool.path)
    with closing(Spool(runtime.settings.spool.path, runtime.clock)) as spool:
        if spool.notices_since(address, KIND, runtime.clock.now() - 3600) >= MOST_AN_HOUR:
            raise CommandError(
                f"{address} has had {MOST_AN_HOUR} codes within the hour; try again later", os.EX_TEMPFAIL
            )
        text = _TEXT.format(address=address, argument=quote(address), code=code)
        spool.put([Notice(sender, address, KIND, _SUBJECT, text)])


def _sender(runtime: Runtime, session: Session) -> str:
    """The set address, else postmask@ the domain that was added first."""
    from postmask.store.admin import domains

    if runtime.settings.mail.notices_from is not None:
        return runtime.settings.mail.notices_from
    first = domains.first(session)
    if first is None:
        raise CommandError(
            "there is no domain yet to send the confirmation code from; add one (postmask domain add), "
            "set mail.notices_from, or vouch for the mailbox yourself: --verified",
            os.EX_CONFIG,
        )
    return f"postmask@{first}"
