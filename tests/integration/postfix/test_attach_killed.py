"""attach, detach and sync killed at every step: Postfix works in between, and the next call makes it good."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

import fatal_attach
import sites
from postmask_postfix.attachment import change, journal, trial
from postmask_postfix.attachment.attach import attach
from postmask_postfix.attachment.detach import Standing, detach, status
from postmask_postfix.sync import NotAttached, sync_domains
from sites import Site

NEXT = ("status", "attach", "detach", "sync")


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A host on which our programs do nothing."""
    with sites.running("relay-with-recipients", idle=True) as made, pytest.MonkeyPatch.context() as patch:
        # It comes before anything is written, and takes its time.
        patch.setattr(trial, "check", lambda *_: None)
        yield made


def dies(site: Site, verb: str, step: int) -> bool:
    return fatal_attach.dies(step, verb, site.postfix, site.instance.queue / "postmask")


def attach_now(site: Site) -> None:
    attach(fatal_attach.request(site.postfix, site.instance.queue / "postmask"))


def host_mail_flows(site: Site) -> None:
    """A new smtpd takes the host's own mail, and says no to what it said no to."""
    with site.session("SMTP") as session:
        session.mail("bob@example.com")
        answers = [session.rcpt(to)[0] for to in ("me@host.test", "you@branch.test", "x@foreign.test")]
    assert answers == [250, 550, 454]


def sync_now(site: Site) -> None:
    try:
        sync_domains(site.postfix, [])
    except NotAttached:
        assert not (site.postfix / journal.NAME).exists()


def call(site: Site, verb: str) -> None:
    """The next call, whichever it is."""
    calls: dict[str, Callable[[], object]] = {
        "status": lambda: status(site.postfix),
        "attach": lambda: attach_now(site),
        "detach": lambda: detach(site.postfix),
        "sync": lambda: sync_now(site),
    }
    calls[verb]()


def settled(site: Site, original: change.Configuration) -> Standing:
    """Attached or detached, and nothing in between; by the files and by the record."""
    now = change.read(site.postfix)
    left = list(site.postfix.glob(".*.postmask"))
    assert not left
    found = status(site.postfix)
    assert not found.differences
    if found.standing is Standing.DETACHED:
        assert now == original
        assert not (site.postfix / journal.NAME).exists()
    else:
        assert found.standing is Standing.ATTACHED
        assert found.recorded
    return found.standing


def steps(site: Site, verb: str, prepare: Callable[[], object]) -> Iterator[tuple[int, str]]:
    """Each step at which it died, with the call that comes next, a different one each time."""
    for step, following in zip(itertools.count(1), itertools.cycle(NEXT)):
        prepare()
        if not dies(site, verb, step):
            assert step > 4
            return
        yield step, following


def test_attach(site: Site) -> None:
    original = change.read(site.postfix)
    for _, following in steps(site, "attach", lambda: detach(site.postfix)):
        host_mail_flows(site)
        call(site, following)
        standing = settled(site, original)
        if following in ("attach", "detach"):
            assert standing is (Standing.ATTACHED if following == "attach" else Standing.DETACHED)
        host_mail_flows(site)
    detach(site.postfix)
    assert change.read(site.postfix) == original


def test_detach(site: Site) -> None:
    original = change.read(site.postfix)
    for _, following in steps(site, "detach", lambda: attach_now(site)):
        host_mail_flows(site)
        call(site, following)
        standing = settled(site, original)
        if following in ("attach", "detach"):
            assert standing is (Standing.ATTACHED if following == "attach" else Standing.DETACHED)
    detach(site.postfix)
    assert change.read(site.postfix) == original


def test_sync(site: Site) -> None:
    original = change.read(site.postfix)
    for _, following in steps(site, "sync", lambda: attach_now(site)):
        host_mail_flows(site)
        call(site, following)
        settled(site, original)
    detach(site.postfix)
    assert change.read(site.postfix) == original
