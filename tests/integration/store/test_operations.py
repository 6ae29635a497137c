"""What the CLI does to the truth, on both databases: accounts, domains, mailboxes, aliases."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from postgres import Cluster
from postmask.address import AddressError, parse
from postmask.directory.lookup import ABSENT, Found
from postmask.directory.records import AliasState, MailboxState, WhenDisabled
from postmask.keys import Keyring, Secret
from postmask.store.admin import accounts, aliases, bulk, contacts, domains, mailboxes, purge
from postmask.store.errors import Duplicate, InUse, NotFound, Refused, WrongCode
from truth import KEYS, Truth, made

DAY = 86400.0


def looked_up(truth: Truth, address: str) -> Any:
    """The alias as the programs see it, None where they see none."""
    answer = truth.directory().alias(address)
    return answer.value if isinstance(answer, Found) else None


def test_the_only_account_needs_no_name(furnished: Truth) -> None:
    shown: Any = furnished.do(aliases.get, "shop@alias.test")
    assert (shown.account, shown.mailboxes, shown.state) == ("default", ("bob@real.test",), "active")
    furnished.do(accounts.add, "ann", now=1.0)
    with pytest.raises(Refused, match="--account: ann, default"):
        furnished.do(mailboxes.add, KEYS, "x@real.test", now=1.0)
    furnished.do(mailboxes.add, KEYS, "x@real.test", account="ann", now=1.0)


def test_accounts(truth: Truth) -> None:
    with pytest.raises(Duplicate):
        truth.do(accounts.add, "default", now=1.0)
    for name in ("", "  ", "a\nb", "x" * 101):
        with pytest.raises(Refused):
            truth.do(accounts.add, name, now=1.0)
    with pytest.raises(NotFound, match="account list"):
        truth.do(accounts.get, "nobody")
    truth.do(accounts.edit, "default", new_name="home")
    listed: Any = truth.do(accounts.listing)
    assert [(account.name, account.state) for account in listed] == [("home", "active")]


def test_a_disabled_account_disables_its_aliases(furnished: Truth) -> None:
    furnished.do(accounts.disable, "default", now=1.0)
    assert looked_up(furnished, "shop@alias.test").state is AliasState.DISABLED
    furnished.do(accounts.enable, "default")
    assert looked_up(furnished, "shop@alias.test").state is AliasState.ACTIVE


def test_a_removed_account_leaves_only_that_its_addresses_were_somebodys(furnished: Truth) -> None:
    """Nothing of another account's goes with it, and its tombstones outlive it."""
    furnished.do(accounts.add, "eve", now=1.0)
    furnished.do(mailboxes.add, KEYS, "eve@real.test", account="eve", senders=["e@work.test"], now=1.0)
    furnished.do(aliases.add, KEYS, "eve@alias.test", ["eve@real.test"], account="eve", now=1.0)
    furnished.do(contacts.add, KEYS, "eve@alias.test", "carol@example.com", now=1.0)
    with pytest.raises(InUse) as refused:
        furnished.do(accounts.remove, KEYS, "eve", now=2.0)
    assert refused.value.dependents == ("mailbox eve@real.test", "alias eve@alias.test")
    gone = furnished.do(accounts.remove, KEYS, "eve", with_all=True, now=2.0)
    assert gone == (["eve@real.test"], ["eve@alias.test"])
    assert looked_up(furnished, "eve@alias.test") is None
    left: Any = [furnished.do(noun.listing) for noun in (mailboxes, aliases, contacts)]
    assert [[one.address for one in some] for some in left] == [
        ["ann@real.test", "bob@real.test"],
        ["shop@alias.test"],
        [],
    ]
    furnished.do(accounts.add, "eve", now=3.0)
    furnished.do(mailboxes.add, KEYS, "eve@real.test", account="eve", now=3.0)
    with pytest.raises(Refused, match="belonged to another account once"):
        furnished.do(aliases.add, KEYS, "eve@alias.test", ["eve@real.test"], account="eve", now=3.0)


def test_domains_are_normalised(truth: Truth) -> None:
    shown: Any = truth.do(domains.add, "Bücher.Test.", "Ops@Real.test", now=1.0)
    assert (shown.name, shown.postmaster) == ("xn--bcher-kva.test", "Ops@real.test")
    with pytest.raises(Duplicate, match="already"):
        truth.do(domains.add, "xn--BCHER-kva.test", "ops@real.test", now=1.0)
    assert truth.do(domains.names) == ["xn--bcher-kva.test"]


@pytest.mark.parametrize("name", ["", "nodots", "a..b", "a b.test", "[192.0.2.1]", "-" * 300 + ".test"])
def test_what_is_no_domain(truth: Truth, name: str) -> None:
    with pytest.raises((AddressError, Refused)):
        truth.do(domains.add, name, "ops@real.test", now=1.0)


def test_reverse_aliases_in_a_domain_are_addresses(truth: Truth) -> None:
    longest = ".".join(["a" * 60, "b" * 60, "c" * 60, "testing"])[1:]
    assert len(parse(f"{'x' * 64}@{longest}").domain) == 189
    with pytest.raises(Refused, match="shorter"):
        truth.do(domains.add, f"a{longest}", "ops@real.test", now=1.0)
    truth.do(domains.add, longest, "ops@real.test", now=1.0)


def test_postmaster_lies_elsewhere(furnished: Truth) -> None:
    for postmaster in ("x@new.test", "x@alias.test"):
        with pytest.raises(Refused, match="one of our own domains"):
            furnished.do(domains.add, "new.test", postmaster, now=1.0)
    with pytest.raises(Refused):
        furnished.do(domains.edit, "alias.test", postmaster="shop@alias.test")
    shown: Any = furnished.do(domains.edit, "alias.test", postmaster="new@real.test")
    assert shown.postmaster == "new@real.test"


def test_a_domain_with_mailboxes_of_ours_cant_become_ours(furnished: Truth) -> None:
    with pytest.raises(InUse) as caught:
        furnished.do(domains.add, "real.test", "x@other.test", now=1.0)
    assert caught.value.dependents == (
        "mailbox ann@real.test",
        "mailbox bob@real.test",
        "postmaster of alias.test",
    )
    for name in ("al.test", "rea_.test"):
        furnished.do(domains.add, name, "x@other.test", now=1.0)


def test_removing_a_domain(furnished: Truth) -> None:
    with pytest.raises(InUse, match="--with-aliases") as caught:
        furnished.do(domains.remove, KEYS, "alias.test", now=1.0)
    assert caught.value.dependents == ("shop@alias.test",)
    gone = furnished.do(domains.remove, KEYS, "alias.test", with_aliases=True, now=1.0)
    assert gone == ["shop@alias.test"]
    directory = furnished.directory()
    assert directory.domain("alias.test") == ABSENT
    assert directory.alias("shop@alias.test") == ABSENT
    with pytest.raises(NotFound):
        furnished.do(domains.get, "alias.test")


def test_the_aliases_of_a_domain_are_purged_in_pieces(
    furnished: Truth, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Postgres ends what takes too long, and to a million of them much else belongs."""
    monkeypatch.setattr(purge, "_PIECE", 2)
    furnished.do(
        bulk.add, KEYS, [f"a{number}@alias.test" for number in range(4)], to=["bob@real.test"], now=1.0
    )
    statements: list[str] = []
    with furnished.session() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *told: statements.append(told[2]))
        assert len(domains.remove(session, KEYS, "alias.test", with_aliases=True, now=1.0)) == 5
    assert len([one for one in statements if one.startswith("DELETE FROM alias ")]) == 3
    assert furnished.directory().domain("alias.test") == ABSENT


def test_a_purged_address_goes_to_no_other_account(furnished: Truth) -> None:
    """Made again by the same it is another alias: none of the old one's contacts comes back with it."""
    ids = {looked_up(furnished, "shop@alias.test").id}
    for _ in range(2):
        furnished.do(domains.remove, KEYS, "alias.test", with_aliases=True, now=1.0)
        furnished.do(domains.add, "alias.test", "ops@real.test", now=1.0)
        furnished.do(aliases.add, KEYS, "shop@alias.test", ["bob@real.test"], account="default", now=2.0)
        ids.add(looked_up(furnished, "shop@alias.test").id)
    assert len(ids) == 3
    furnished.do(domains.remove, KEYS, "alias.test", with_aliases=True, now=1.0)
    furnished.do(domains.add, "alias.test", "ops@real.test", now=1.0)
    furnished.do(accounts.add, "eve", now=1.0)
    furnished.do(mailboxes.add, KEYS, "eve@real.test", account="eve", now=1.0)
    rotated = Keyring([*KEYS.secrets, Secret(2, "2027-01-01", bytes(32))])
    for keys in (KEYS, rotated):
        with pytest.raises(Refused, match="another account"):
            furnished.do(aliases.add, keys, "shop@alias.test", ["eve@real.test"], account="eve", now=2.0)


def test_dkim_keys(furnished: Truth) -> None:
    def add(selector: str, algorithm: str, now: float) -> None:
        furnished.do(
            domains.add_key, "alias.test", selector=selector, algorithm=algorithm,
            sealed=selector.encode(), public="v=DKIM1; p=x", now=now,
        )  # fmt: skip

    assert furnished.directory().dkim_keys("alias.test") == Found(())
    add("e1", "ed25519", 1.0)
    add("r1", "rsa", 2.0)
    with pytest.raises(Duplicate):
        add("r1", "rsa", 3.0)
    with pytest.raises(NotFound):
        furnished.do(domains.add_key, "x.test", selector="a", algorithm="rsa", sealed=b"", public="", now=1.0)
    keys = furnished.directory().dkim_keys("alias.test")
    assert isinstance(keys, Found)
    assert [(key.selector, key.algorithm, key.sealed) for key in keys.value] == [
        ("r1", "rsa", b"r1"),
        ("e1", "ed25519", b"e1"),
    ]
    shown: Any = furnished.do(domains.get, "alias.test")
    assert [key.selector for key in shown.dkim_keys] == ["r1", "e1"]
    with pytest.raises(Refused, match="--add-key rsa"):
        furnished.do(domains.drop_key, "alias.test", "r1")
    add("r2", "rsa", 4.0)
    furnished.do(domains.drop_key, "alias.test", "r1")
    with pytest.raises(NotFound):
        furnished.do(domains.drop_key, "alias.test", "r1")
    left = furnished.directory().dkim_keys("alias.test")
    assert isinstance(left, Found)
    assert [key.selector for key in left.value] == ["r2", "e1"]


def test_a_mailbox_is_confirmed_by_its_code(furnished: Truth) -> None:
    made: Any = furnished.do(mailboxes.add, KEYS, "New@real.test", now=0.0)
    assert made.mailbox.state == "unconfirmed"
    assert len(made.code) >= 6
    furnished.do(aliases.add, KEYS, "n@alias.test", ["new@real.test"], now=0.0)
    assert looked_up(furnished, "n@alias.test").mailboxes[0].state is MailboxState.UNCONFIRMED
    with pytest.raises(WrongCode, match="4 attempts left"):
        furnished.do(mailboxes.verify, KEYS, "new@real.test", "nonsense", now=1.0)
    shown: Any = furnished.do(mailboxes.verify, KEYS, "NEW@real.test", f" {made.code.upper()} ", now=2.0)
    assert (shown.state, shown.confirmed_at) == ("active", 2.0)
    record = looked_up(furnished, "n@alias.test").mailboxes[0]
    assert record.state is MailboxState.ACTIVE
    assert (record.address, record.deliver_to) == ("new@real.test", "New@real.test")
    again: Any = furnished.do(mailboxes.verify, KEYS, "new@real.test", "whatever", now=3.0)
    assert again.confirmed_at == 2.0


def test_codes_run_out(furnished: Truth) -> None:
    made: Any = furnished.do(mailboxes.add, KEYS, "new@real.test", now=0.0)
    for left in (4, 3, 2, 1, 0):
        with pytest.raises(WrongCode, match=f"{left} attempt"):
            furnished.do(mailboxes.verify, KEYS, "new@real.test", "nonsense", now=1.0)
    with pytest.raises(Refused, match="too many"):
        furnished.do(mailboxes.verify, KEYS, "new@real.test", made.code, now=1.0)
    with pytest.raises(Refused, match="30 seconds"):
        furnished.do(mailboxes.new_code, KEYS, "new@real.test", now=30.0)
    fresh: Any = furnished.do(mailboxes.new_code, KEYS, "new@real.test", now=60.0)
    with pytest.raises(WrongCode):
        furnished.do(mailboxes.verify, KEYS, "new@real.test", made.code, now=61.0)
    with pytest.raises(Refused, match="expired"):
        furnished.do(mailboxes.verify, KEYS, "new@real.test", fresh.code, now=60.0 + DAY)
    furnished.do(mailboxes.verify, KEYS, "new@real.test", fresh.code, now=59.0 + DAY)
    with pytest.raises(Refused, match="confirmed already"):
        furnished.do(mailboxes.new_code, KEYS, "new@real.test", now=9 * DAY)


def test_a_code_is_good_for_its_own_mailbox_and_address_only(furnished: Truth) -> None:
    one: Any = furnished.do(mailboxes.add, KEYS, "one@real.test", now=0.0)
    furnished.do(mailboxes.add, KEYS, "two@real.test", now=0.0)
    with pytest.raises(WrongCode):
        furnished.do(mailboxes.verify, KEYS, "two@real.test", one.code, now=1.0)
    furnished.do(mailboxes.edit, KEYS, "one@real.test", new_address="three@real.test", now=1.0)
    with pytest.raises(WrongCode):
        furnished.do(mailboxes.verify, KEYS, "three@real.test", one.code, now=1.0)
    furnished.do(mailboxes.new_code, KEYS, "two@real.test", now=-90.0)  # by a clock that was put right


def test_moving_a_mailbox_takes_its_aliases_along(furnished: Truth) -> None:
    before = looked_up(furnished, "shop@alias.test").mailboxes[0]
    moved: Any = furnished.do(
        mailboxes.edit, KEYS, "bob@real.test", new_address="Robert@elsewhere.test", now=5.0
    )
    assert (moved.mailbox.address, moved.mailbox.state, moved.mailbox.aliases) == (
        "robert@elsewhere.test",
        "unconfirmed",
        1,
    )
    after = looked_up(furnished, "shop@alias.test").mailboxes[0]
    assert (after.id, after.deliver_to, after.state) == (
        before.id,
        "Robert@elsewhere.test",
        MailboxState.UNCONFIRMED,
    )
    furnished.do(mailboxes.verify, KEYS, "robert@elsewhere.test", moved.code, now=6.0)
    with pytest.raises(Duplicate):
        furnished.do(mailboxes.edit, KEYS, "ann@real.test", new_address="robert@elsewhere.test", now=7.0)


def left_behind(furnished: Truth) -> list[tuple[str, str, str | None, int]]:
    """The mailboxes that nobody has confirmed."""
    shown: Any = furnished.do(mailboxes.listing)
    return [
        (one.written, one.state, one.pause_reason, one.aliases) for one in shown if one.confirmed_at is None
    ]


def test_a_former_address_stays_the_accounts_and_proves_nothing(furnished: Truth) -> None:
    """Replies quote it still; to go back there is to have it as before."""
    account = looked_up(furnished, "shop@alias.test").account_id

    def move(address: str, to: str, **how: Any) -> Any:
        return furnished.do(mailboxes.edit, KEYS, address, new_address=to, now=5.0, **how)

    moved = move("bob@real.test", "bob@new.test", verified=True)
    assert moved.former == "Bob@real.test"
    assert left_behind(furnished) == [("Bob@real.test", "unconfirmed", "moved to bob@new.test", 0)]
    addresses = furnished.directory().account_addresses(account)
    assert addresses == Found(("ann@real.test", "bob@new.test", "bob@real.test"))
    (only,) = looked_up(furnished, "shop@alias.test").mailboxes
    assert (only.address, only.senders) == ("bob@new.test", ())
    back = move("bob@new.test", "bob@real.test", verified=True)
    assert (back.mailbox.id, back.mailbox.state) == (only.id, "active")
    assert left_behind(furnished) == [("bob@new.test", "unconfirmed", "moved to bob@real.test", 0)]
    furnished.do(mailboxes.remove, "bob@new.test", now=6.0)
    assert furnished.directory().account_addresses(account) == Found(("ann@real.test", "bob@real.test"))


def test_an_address_that_was_never_confirmed_is_not_kept(furnished: Truth) -> None:
    """A misspelt one, say, which is somebody else's."""
    furnished.do(mailboxes.edit, KEYS, "bob@real.test", new_address="bib@new.test", now=5.0)
    moved: Any = furnished.do(mailboxes.edit, KEYS, "bib@new.test", new_address="bob@new.test", now=6.0)
    assert moved.former is None
    unconfirmed = [
        ("bob@new.test", "unconfirmed", None, 1),
        ("Bob@real.test", "unconfirmed", "moved to bib@new.test", 0),
    ]
    assert left_behind(furnished) == unconfirmed


def test_nobody_moves_to_a_mailbox_that_waits_for_its_code_or_has_an_alias(furnished: Truth) -> None:
    furnished.do(mailboxes.add, KEYS, "new@real.test", now=1.0)
    with pytest.raises(Duplicate):
        furnished.do(mailboxes.edit, KEYS, "bob@real.test", new_address="new@real.test", now=2.0)
    furnished.do(mailboxes.edit, KEYS, "bob@real.test", new_address="bob@new.test", now=2.0)
    furnished.do(aliases.edit, "shop@alias.test", to=["bob@real.test"])
    with pytest.raises(Duplicate):
        furnished.do(mailboxes.edit, KEYS, "bob@new.test", new_address="bob@real.test", now=3.0)


def test_editing_a_mailbox(furnished: Truth) -> None:
    furnished.do(
        mailboxes.edit, KEYS, "bob@real.test", login="bob", senders=["B@real.test", "bob@work.test"],
        allow_spf=True, now=1.0,
    )  # fmt: skip
    record = looked_up(furnished, "shop@alias.test").mailboxes[0]
    assert (record.login, record.senders, record.allow_spf) == (
        "bob",
        ("b@real.test", "bob@work.test"),
        True,
    )
    account = looked_up(furnished, "shop@alias.test").account_id
    addresses = furnished.directory().account_addresses(account)
    assert addresses == Found(("ann@real.test", "b@real.test", "bob@real.test", "bob@work.test"))
    furnished.do(mailboxes.edit, KEYS, "bob@real.test", senders=["bob@work.test", "x@real.test"], now=1.0)
    shown: Any = furnished.do(mailboxes.edit, KEYS, "bob@real.test", login="", allow_spf=False, now=1.0)
    assert (shown.mailbox.login, shown.mailbox.senders) == (None, ("bob@work.test", "x@real.test"))
    assert shown.code is None
    assert shown.mailbox.state == "active"


def test_a_change_of_case_needs_no_new_code(furnished: Truth) -> None:
    shown: Any = furnished.do(mailboxes.edit, KEYS, "bob@real.test", new_address="BOB@real.test", now=1.0)
    assert (shown.mailbox.written, shown.mailbox.state, shown.code) == ("BOB@real.test", "active", None)


def test_mailboxes_lie_outside_our_domains(furnished: Truth) -> None:
    with pytest.raises(Refused, match="one of our own domains"):
        furnished.do(mailboxes.add, KEYS, "me@Alias.test", now=1.0)
    with pytest.raises(Refused):
        furnished.do(mailboxes.edit, KEYS, "bob@real.test", new_address="me@alias.test", now=1.0)
    with pytest.raises(Refused):
        furnished.do(mailboxes.edit, KEYS, "bob@real.test", senders=["me@alias.test"], now=1.0)
    furnished.do(mailboxes.add, KEYS, "me@sub.alias.test", now=1.0)
    with pytest.raises(Duplicate):
        furnished.do(mailboxes.add, KEYS, "BOB@REAL.TEST", now=1.0)
    with pytest.raises(AddressError):
        furnished.do(mailboxes.add, KEYS, "bob", now=1.0)


def test_the_same_mailbox_in_two_accounts(furnished: Truth) -> None:
    furnished.do(accounts.add, "ann", now=1.0)
    furnished.do(mailboxes.add, KEYS, "bob@real.test", account="ann", now=1.0)
    with pytest.raises(Refused, match="ann, default"):
        furnished.do(mailboxes.get, "bob@real.test")
    shown: Any = furnished.do(mailboxes.get, "bob@real.test", account="ann")
    assert shown.account == "ann"
    listed: Any = furnished.do(aliases.listing, mailbox="bob@real.test", account="default")
    assert [alias.address for alias in listed] == ["shop@alias.test"]
    assert furnished.do(aliases.listing, mailbox="bob@real.test", account="ann") == []


def test_what_is_listed_of_an_account_is_its_own(furnished: Truth) -> None:
    furnished.do(accounts.add, "ann", now=1.0)
    furnished.do(domains.add, "ann.test", "ops@real.test", account="ann", now=1.0)
    furnished.do(mailboxes.add, KEYS, "ann@home.test", account="ann", now=1.0)
    furnished.do(aliases.add, KEYS, "a@alias.test", ["ann@home.test"], account="ann", now=1.0)
    furnished.do(contacts.add, KEYS, "a@alias.test", "x@firm.test", now=1.0)
    furnished.do(contacts.add, KEYS, "shop@alias.test", "y@firm.test", now=1.0)
    for listing in (domains.listing, mailboxes.listing, aliases.listing, contacts.listing):
        of_all: Any = furnished.do(listing)
        of_ann: Any = furnished.do(listing, account="ann")
        assert (len(of_all) > 1, len(of_ann)) == (True, 1), listing.__module__


def test_pause_and_resume(furnished: Truth) -> None:
    furnished.do(mailboxes.pause, "bob@real.test", now=1.0)
    shown: Any = furnished.do(mailboxes.pause, "bob@real.test", reason="again", now=2.0)
    assert (shown.state, shown.paused_at, shown.pause_reason) == ("paused", 1.0, "by hand")
    assert looked_up(furnished, "shop@alias.test").mailboxes[0].state is MailboxState.PAUSED
    resumed: Any = furnished.do(mailboxes.resume, "bob@real.test")
    assert (resumed.state, resumed.pause_reason) == ("active", None)


def test_removing_a_mailbox(furnished: Truth) -> None:
    furnished.do(aliases.add, KEYS, "both@alias.test", ["bob@real.test", "ann@real.test"], now=1.0)
    with pytest.raises(InUse, match="2 aliases") as caught:
        furnished.do(mailboxes.remove, "bob@real.test", now=2.0)
    assert caught.value.dependents == ("both@alias.test", "shop@alias.test")
    assert furnished.do(mailboxes.remove, "bob@real.test", with_aliases=True, now=2.0) == ["shop@alias.test"]
    assert looked_up(furnished, "shop@alias.test") is None
    assert [box.address for box in looked_up(furnished, "both@alias.test").mailboxes] == ["ann@real.test"]
    with pytest.raises(Refused, match="--to"):
        furnished.do(aliases.restore, "shop@alias.test")
    furnished.do(aliases.restore, "shop@alias.test", to=["ann@real.test"])
    assert looked_up(furnished, "shop@alias.test").mailboxes[0].address == "ann@real.test"


def test_removing_a_mailbox_takes_no_statement_for_each_alias(furnished: Truth) -> None:
    many = [f"a{number}@alias.test" for number in range(100)]
    furnished.do(bulk.add, KEYS, many, to=["bob@real.test"], now=1.0)
    statements: list[str] = []
    with furnished.session() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *told: statements.append(told[2]))
        gone = mailboxes.remove(session, "bob@real.test", with_aliases=True, now=2.0)
    assert gone == sorted([*many, "shop@alias.test"])
    assert len(statements) < 20


def test_showing_domains_takes_no_statement_for_each(furnished: Truth) -> None:
    for number in range(30):
        name = f"d{number:02}.test"
        furnished.do(accounts.add, f"a{number}", now=1.0)
        furnished.do(domains.add, name, "ops@real.test", account=f"a{number}", now=float(30 - number))
        key: Any = {"selector": f"s{number}", "algorithm": "rsa", "sealed": b"x", "public": "p"}
        furnished.do(domains.add_key, name, now=1.0, **key)
    statements: list[str] = []
    with furnished.session() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *told: statements.append(told[2]))
        shown = {one.name: one for one in domains.listing(session)}
        assert domains.first(session) == "d29.test"
    assert len(statements) < 10
    assert len(shown) == 31
    assert (shown["alias.test"].aliases, shown["d07.test"].aliases) == (1, 0)
    assert [key.selector for key in shown["d07.test"].dkim_keys] == ["s7"]


def test_showing_mailboxes_takes_no_statement_for_each(furnished: Truth) -> None:
    """`postmask status` looks at them, and the database may be far away."""
    for number in range(30):
        box = f"user{number}@real.test"
        owner: Any = {"account": f"a{number}", "senders": [f"s{number}@real.test"]}
        furnished.do(accounts.add, f"a{number}", now=1.0)
        furnished.do(mailboxes.add, KEYS, box, verified=True, now=1.0, **owner)
    furnished.do(mailboxes.pause, "user7@real.test", reason="moved", now=2.0)
    statements: list[str] = []
    with furnished.session() as session:
        event.listen(session.connection(), "before_cursor_execute", lambda *told: statements.append(told[2]))
        shown = {box.address: box for box in mailboxes.listing(session)}
        paused = mailboxes.paused(session)
        assert mailboxes.number(session) == len(shown) == 32
    assert len(statements) < 10
    assert (shown["bob@real.test"].aliases, shown["bob@real.test"].senders) == (1, ())
    assert (shown["user7@real.test"].aliases, shown["user7@real.test"].senders) == (0, ("s7@real.test",))
    assert paused == [shown["user7@real.test"]]


def test_making_an_alias(furnished: Truth) -> None:
    shown: Any = furnished.do(
        aliases.add, KEYS, "Ünï@alias.test", ["bob@real.test", "ann@real.test", "BOB@real.test"],
        name="Me", note="n", when_disabled="discard", now=1.0,
    )  # fmt: skip
    assert (shown.address, shown.mailboxes) == ("ünï@alias.test", ("ann@real.test", "bob@real.test"))
    record = looked_up(furnished, "ünï@alias.test")
    assert (record.name, record.when_disabled) == ("Me", WhenDisabled.DISCARD)
    assert furnished.directory().alias_by_id(record.id) == Found(record)


@pytest.mark.parametrize(
    ("address", "to", "error", "says"),
    [
        ("shop@alias.test", ["bob@real.test"], Duplicate, "already"),
        ("SHOP@ALIAS.TEST", ["bob@real.test"], Duplicate, "already"),
        ("x@unknown.test", ["bob@real.test"], NotFound, "postmask domain add unknown.test"),
        ("x@sub.alias.test", ["bob@real.test"], NotFound, "domain add"),
        ("x@alias.test", ["nobody@real.test"], NotFound, "postmask mailbox add nobody@real.test"),
        ("x@alias.test", [], Refused, "--to"),
        ("x@alias.test", ["bob"], AddressError, "@"),
        ("postmaster@alias.test", ["bob@real.test"], Refused, "reserved"),
        ("Abuse+x@alias.test", ["bob@real.test"], Refused, "reserved"),
        (f"bob-at-x.{'a' * 24}@alias.test", ["bob@real.test"], Refused, "reserved"),
        (f"{'a' * 53}@alias.test", ["bob@real.test"], Refused, "reserved"),
        ("a..b@alias.test", ["bob@real.test"], AddressError, "local part"),
        ("@alias.test", ["bob@real.test"], AddressError, "before the @"),
    ],
)
def test_what_is_refused_as_an_alias(
    furnished: Truth, address: str, to: list[str], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        furnished.do(aliases.add, KEYS, address, to, now=1.0)
    listed: Any = furnished.do(aliases.listing, state="all")
    assert len(listed) == 1


def test_another_accounts_mailbox_is_refused(furnished: Truth) -> None:
    furnished.do(accounts.add, "eve", now=1.0)
    with pytest.raises(NotFound):
        furnished.do(aliases.add, KEYS, "x@alias.test", ["bob@real.test"], account="eve", now=1.0)


def test_ids_that_clash(furnished: Truth, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("postmask.tokens.alias_id", lambda keys, key, attempt=0: 4711 + attempt)
    one: Any = furnished.do(aliases.add, KEYS, "one@alias.test", ["bob@real.test"], now=1.0)
    two: Any = furnished.do(aliases.add, KEYS, "two@alias.test", ["bob@real.test"], now=1.0)
    assert (one.id, two.id) == (4711, 4712)


def test_editing_and_disabling_an_alias(furnished: Truth) -> None:
    shown: Any = furnished.do(aliases.edit, "shop@alias.test", to=["ann@real.test"], name="Shop", note="")
    assert (shown.mailboxes, shown.name, shown.note) == (("ann@real.test",), "Shop", None)
    furnished.do(aliases.disable, "shop@alias.test", when_disabled="defer")
    record = looked_up(furnished, "shop@alias.test")
    assert (record.state, record.when_disabled) == (AliasState.DISABLED, WhenDisabled.DEFER)
    furnished.do(aliases.enable, "shop@alias.test")
    assert looked_up(furnished, "shop@alias.test").state is AliasState.ACTIVE
    for change in ({"when_disabled": "odd"}, {"to": []}):
        with pytest.raises(Refused):
            furnished.do(aliases.edit, "shop@alias.test", **change)


def test_removing_and_restoring_an_alias(furnished: Truth) -> None:
    before = looked_up(furnished, "shop@alias.test")
    shown: Any = furnished.do(aliases.remove, "shop@alias.test", now=3.0)
    assert (shown.state, shown.removed_at) == ("removed", 3.0)
    assert furnished.directory().alias("shop@alias.test") == ABSENT
    assert furnished.directory().alias_by_id(before.id) == ABSENT
    with pytest.raises(Refused, match="postmask alias restore"):
        furnished.do(aliases.add, KEYS, "shop@alias.test", ["bob@real.test"], now=4.0)
    for operation in (aliases.enable, aliases.disable, aliases.edit):
        with pytest.raises(NotFound, match="alias restore"):
            furnished.do(operation, "shop@alias.test")
    furnished.do(aliases.restore, "shop@alias.test")
    assert looked_up(furnished, "shop@alias.test") == before
    with pytest.raises(Refused, match="isn't removed"):
        furnished.do(aliases.restore, "shop@alias.test")


def test_a_removed_address_goes_to_no_other_account(furnished: Truth) -> None:
    furnished.do(aliases.remove, "shop@alias.test", now=3.0)
    furnished.do(accounts.add, "eve", now=1.0)
    furnished.do(mailboxes.add, KEYS, "eve@real.test", account="eve", now=1.0)
    with pytest.raises(Refused, match=r"another account, which removed it.*alias restore"):
        furnished.do(aliases.add, KEYS, "shop@alias.test", ["eve@real.test"], account="eve", now=4.0)


def test_finding_aliases(furnished: Truth) -> None:
    furnished.do(domains.add, "second.test", "ops@real.test", now=1.0)
    furnished.do(aliases.add, KEYS, "50%@second.test", ["ann@real.test"], note="Half_price", now=1.0)
    furnished.do(aliases.add, KEYS, "old@alias.test", ["ann@real.test"], now=1.0)
    furnished.do(aliases.remove, "old@alias.test", now=2.0)
    furnished.do(aliases.disable, "50%@second.test")

    def found(**query: Any) -> list[str]:
        listed: Any = furnished.do(aliases.listing, **query)
        return [alias.address for alias in listed]

    assert found() == ["50%@second.test", "shop@alias.test"]
    assert found(state="removed") == ["old@alias.test"]
    assert found(state="all", limit=2, offset=1) == ["old@alias.test", "shop@alias.test"]
    assert found(state="disabled") == ["50%@second.test"]
    assert found(domain="alias.test") == ["shop@alias.test"]
    assert found(mailbox="ann@real.test") == ["50%@second.test"]
    assert found(search="SHOES") == ["shop@alias.test"]
    assert found(search="0%@") == ["50%@second.test"]
    assert found(search="f_p") == ["50%@second.test"]
    assert found(search="s%p") == []
    furnished.do(aliases.edit, "50%@second.test", note="Für ÄRZTE")
    for text in ("Ärzte", "ärzte", "ÄRZTE"):
        assert found(search=text) == ["50%@second.test"]


def test_a_search_as_it_is_written_needs_no_locale(postgres: Cluster) -> None:
    with made(postgres.fresh("ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")) as truth:
        truth.furnish()
        truth.do(aliases.edit, "shop@alias.test", note="Für ÄRZTE")
        found: Any = truth.do(aliases.listing, search="ÄRZTE")
        assert [alias.address for alias in found] == ["shop@alias.test"]


def test_random_aliases(furnished: Truth) -> None:
    made: Any = [furnished.do(aliases.random, KEYS, ["bob@real.test"], now=1.0) for _ in range(3)]
    assert len({alias.address for alias in made}) == 3
    assert all(alias.address.endswith("@alias.test") for alias in made)
    furnished.do(domains.add, "second.test", "ops@real.test", now=1.0)
    with pytest.raises(Refused, match=r"--domain: alias\.test, second\.test"):
        furnished.do(aliases.random, KEYS, ["bob@real.test"], now=1.0)
    furnished.do(aliases.random, KEYS, ["bob@real.test"], domain="second.test", now=1.0)


def test_a_failed_operation_leaves_nothing_behind(furnished: Truth) -> None:
    def two(session: Session) -> None:
        for address in ("one@alias.test", "abuse@alias.test"):
            aliases.add(session, KEYS, address, ["bob@real.test"], now=1.0)

    with pytest.raises(Refused):
        furnished.do(two)
    assert looked_up(furnished, "one@alias.test") is None
