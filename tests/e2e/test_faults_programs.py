"""Each program killed and frozen, also in the middle of a session.

The host's other mail passes within the time-outs, ours waits and flows when the program is back, and
an unknown alias is never accepted.
"""

from __future__ import annotations

import smtplib
import time

import pytest

from faults import FOREIGN, Watch, await_flow, frozen, killed, message, pass_foreign, subjects, within
from service import Owned, Service

MILTER_SECONDS = 2.0
"""command_timeout: what a milter that doesn't answer costs a session before EHLO, and again in it."""

CONTENT_SECONDS = 3.0
"""content_timeout: the same from DATA on."""

FOREIGN_SECONDS = 5.0
"""What the host's other mail may wait behind a hung forwarder, however much of ours waits."""

GATE_SECONDS = 5.0
"""What a gate that doesn't answer costs a recipient of ours: two tries of 2 s, a second apart."""

WAITING, PROBES = 150, 6
SLACK = 4.0
UNKNOWN = "nobody-of-this-name@alias.test"


def _codes(session: smtplib.SMTP, *recipients: str) -> list[int]:
    return [session.rcpt(recipient)[0] for recipient in recipients]


def _session(faulty: Service) -> smtplib.SMTP:
    """A session of a client that may relay, at RCPT."""
    session = faulty.lab.client("127.0.0.1", "localhost")
    assert session.mail("bob@example.com")[0] == 250
    return session


def test_gate_and_milter_killed(faulty_pipe: Service) -> None:
    owned = faulty_pipe.alias()
    with _session(faulty_pipe) as session:
        assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [250, 550, 250]
        with killed(faulty_pipe, "milter-alias"):
            assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [451, 451, 250]
            with _session(faulty_pipe) as other:
                assert _codes(other, owned.alias, UNKNOWN, FOREIGN) == [451, 451, 250]
            pass_foreign(faulty_pipe, SLACK)
            assert session.data(message(owned.alias, "accepted before"))[0] == 250
        # The milter is lost to this session, the gate isn't.
        assert session.mail("bob@example.com")[0] == 250
        assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [250, 550, 250]
    assert _flows(faulty_pipe, owned) == 2


def test_gate_and_milter_frozen(faulty_pipe: Service) -> None:
    owned = faulty_pipe.alias()
    with _session(faulty_pipe) as session:
        assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [250, 550, 250]
        with frozen(faulty_pipe, "milter-alias"):
            with within(MILTER_SECONDS + SLACK, "a foreign recipient"):
                assert _codes(session, FOREIGN) == [250]
            with within(GATE_SECONDS + SLACK, "a recipient of ours"):
                assert _codes(session, owned.alias) == [451]
            assert _codes(session, UNKNOWN) == [451]
            pass_foreign(faulty_pipe, MILTER_SECONDS + SLACK)
            with within(MILTER_SECONDS + SLACK, "a message"):
                assert session.data(message(owned.alias, "accepted before"))[0] == 250
            assert session.mail("bob@example.com")[0] == 250
        faulty_pipe.lab.wait_for(
            lambda: _codes(session, owned.alias, UNKNOWN) == [250, 550], "the gate's return"
        )
    assert _flows(faulty_pipe, owned) == 2


def test_milter_frozen_between_the_recipients_and_the_message(faulty_pipe: Service) -> None:
    owned = faulty_pipe.alias()
    with _session(faulty_pipe) as session:
        assert _codes(session, owned.alias, FOREIGN) == [250, 250]
        with frozen(faulty_pipe, "milter-alias"), within(MILTER_SECONDS + CONTENT_SECONDS + SLACK, "it"):
            assert session.data(message(owned.alias, "in time"))[0] == 250
    assert await_flow(faulty_pipe, owned.mailbox, 1) == ["in time"]


def test_postfix_itself_killed_with_the_sink(faulty: Service) -> None:
    """Every process of it, while mail waits and while mail flows."""
    owned = faulty.alias()
    names = [f"{number:02d}" for number in range(20)]
    with faulty.lab.client() as session:
        for name in names:
            session.sendmail("bob@example.com", [owned.alias], message(owned.alias, name))
    with killed(faulty, "postfix", "sink"):
        pass
    assert sorted(set(await_flow(faulty, owned.mailbox, len(names)))) == names


def test_forwarder_killed(faulty: Service) -> None:
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    with _session(faulty) as session:
        assert _codes(session, owned.alias) == [250]
        with killed(faulty, "forwarder"):
            assert session.data(message(owned.alias, "in a session"))[0] == 250
            assert faulty.rcpt(UNKNOWN).startswith("550 5.1.1")
            queue_id = faulty.send("bob@example.com", [owned.alias], message(owned.alias, "after")).queue_id
            watch.await_lines(1, queue_id, "status=deferred")
            pass_foreign(faulty, SLACK)
    assert await_flow(faulty, owned.mailbox, 2) == ["after", "in a session"]
    assert watch.bounced() == []


def test_forwarder_frozen_with_a_full_queue(faulty: Service) -> None:
    """150 messages of ours, three times what the active queue takes: other mail doesn't wait for them.

    By Postfix's own figure: from the client's first word to the next server's answer.
    """
    owned = faulty.alias()
    watch = Watch(faulty.lab)
    names = [f"{number:03d}" for number in range(WAITING)]
    foreign = [f"{number}@{FOREIGN.partition('@')[2]}" for number in range(PROBES)]
    with faulty.lab.main_cf(qmgr_message_active_limit=str(WAITING // 3)), frozen(faulty, "forwarder"):
        with faulty.lab.client() as session:
            for name in names:
                session.sendmail("bob@example.com", [owned.alias], message(owned.alias, name))
        for probe in foreign:
            faulty.lab.flush()
            faulty.send("bob@example.com", [probe], message(probe), address="127.0.0.1")
            (sent,) = watch.await_lines(1, f"to=<{probe}>", "status=sent")
            delay = float(sent.partition(", delay=")[2].partition(",")[0])
            assert delay < FOREIGN_SECONDS, sent
        watch.await_lines(1, f"to=<{owned.alias}>", "status=deferred")
        assert subjects(faulty, owned.mailbox) == []
    assert await_flow(faulty, owned.mailbox, len(names)) == names
    assert watch.bounced() == []


@pytest.mark.parametrize("how", [killed, frozen])
def test_agent_killed_and_frozen(faulty: Service, how: object) -> None:
    """No mail waits for it, and what it missed it carries when it is back."""
    owned = faulty.alias()
    assert callable(how)
    with how(faulty, "agent"):
        assert _flows(faulty, owned) == 1
        with _session(faulty) as session:
            assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [250, 550, 250]
        pass_foreign(faulty, SLACK)
    faulty.lab.wait_for(lambda: faulty.event_kinds(owned.alias) == ["forwarded"], "the event")


def test_all_programs_killed_at_once(faulty: Service) -> None:
    owned = faulty.alias()
    with killed(faulty, "milter-alias", "milter-scan", "forwarder", "agent"):
        with _session(faulty) as session:
            assert _codes(session, owned.alias, UNKNOWN, FOREIGN) == [451, 451, 250]
        pass_foreign(faulty, SLACK)
    _flows(faulty, owned)


def _flows(faulty: Service, owned: Owned) -> int:
    """A message to the alias arrives, once; how many have, all told."""
    name = f"flows {time.monotonic()}"
    said = faulty.send("bob@example.com", [owned.alias, UNKNOWN], message(owned.alias, name))
    assert said.recipients[owned.alias].startswith("250")
    assert said.recipients[UNKNOWN].startswith("550 5.1.1")
    arrived = await_flow(faulty, owned.mailbox, 1)
    assert arrived.count(name) == 1
    return len(arrived)
