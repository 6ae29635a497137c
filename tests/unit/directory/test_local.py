"""What a node learned first, beside a directory that knows more of it or can't be asked."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest

from directories import MemoryDirectory, alias
from postmask.clock import ManualClock
from postmask.directory.local import LocalDirectory
from postmask.directory.lookup import ABSENT, GONE, Found, Lookup, Unavailable
from postmask.directory.records import Contact, ContactRule, ReverseAlias
from postmask.spool import LocalContact, Spool, SpoolError

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


def test_a_reverse_alias_that_this_node_alone_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was written; unavailable where its alias is or the spool can't be read, never absent."""
    memory = MemoryDirectory(aliases={"shop@alias.test": alias()})
    with contextlib.closing(Spool(tmp_path / "spool.db", ManualClock())) as spool:
        directory = LocalDirectory(memory, spool)
        assert directory.reverse_alias(TOKEN) == ABSENT
        spool.begin([], [MET])
        found = directory.reverse_alias(TOKEN)
        assert found == Found(ReverseAlias(TOKEN, alias(), MET.address, "Bob", "Bob@example.com"))

        def gone(_: object) -> Lookup[Any]:
            return Unavailable("gone")

        with monkeypatch.context() as patched:
            patched.setattr(memory, "alias_by_id", gone)
            assert directory.reverse_alias(TOKEN) == Unavailable("gone")

        with monkeypatch.context() as patched:
            patched.setattr(memory, "reverse_alias", gone)
            assert directory.reverse_alias(TOKEN) == found

        with monkeypatch.context() as patched:
            patched.setattr(memory, "reverse_alias", lambda _: GONE)
            assert directory.reverse_alias(TOKEN) == GONE, "who removed its alias knows more than this node"

        def unreadable(*_: object) -> LocalContact:
            raise SpoolError("unreadable")

        for asked in ("contact", "contact_by_token", "replay_mark"):
            monkeypatch.setattr(spool, asked, unreadable)
        assert directory.reverse_alias(TOKEN) == Unavailable("unreadable")
        assert directory.contact(7, "new@example.com") == Unavailable("unreadable")
        assert directory.replay_mark("m", TOKEN) == Unavailable("unreadable")
