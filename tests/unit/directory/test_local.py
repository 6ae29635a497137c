"""What a node learned first, beside a directory that knows more of it or can't be asked."""

from __future__ import annotations

import contextlib
from pathlib import Path

from directories import MemoryDirectory
from postmask.clock import ManualClock
from postmask.directory.local import LocalDirectory
from postmask.directory.lookup import Found, Unavailable
from postmask.directory.records import Contact, ContactRule
from postmask.spool import LocalContact, Spool

TOKEN = "t" * 24
MET = LocalContact(TOKEN, 7, "bob@example.com", "Bob", "Bob@example.com")


def test_whether_a_contact_is_blocked_only_the_directory_knows(tmp_path: Path) -> None:
    memory = MemoryDirectory()
    with contextlib.closing(Spool(tmp_path / "spool.db", ManualClock())) as spool:
        directory = LocalDirectory(memory, spool)
        spool.begin([], [MET])
        new = directory.contact(7, MET.address)
        assert new == Found(Contact(7, MET.address, "Bob", ContactRule.NONE, TOKEN, told=False))
        blocked = Contact(7, MET.address, "Bob", ContactRule.BLOCK, TOKEN)
        memory.contacts[7, MET.address] = blocked
        assert directory.contact(7, MET.address) == Found(blocked)
        memory.broken = "gone"
        assert directory.contact(7, MET.address) == Unavailable("gone")
