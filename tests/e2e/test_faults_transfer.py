"""20 MB on their way to the forwarder, and somebody dies: no half message is ever delivered."""

from __future__ import annotations

import random
import signal

from faults import Watch, await_flow, kill_daemons, message
from service import Service
from stand_ins import Passage, passage

SIZE = 20_000_000
_LINE = 78


def _body() -> bytes:
    """Lines of which no two are alike, so that a hole would show."""
    source = random.Random(20)
    lines = (b"%075x %d\r\n" % (source.getrandbits(300), number % 10) for number in range(SIZE // _LINE))
    return b"".join(lines)


def test_whoever_dies_in_the_middle_the_whole_message_arrives_once(faulty: Service) -> None:
    """One message: its deliverer dies half-way, then near the end, Postfix stops, the forwarder dies."""
    owned, body = faulty.alias(), _body()
    watch = Watch(faulty.lab)
    with passage(faulty, "forwarder") as passed:
        passed.stop(after=SIZE // 3)
        faulty.send("bob@example.com", [owned.alias], message(owned.alias, body=body))
        _await_pause(faulty, passed)
        kill_daemons(faulty, faulty.lab.described["door"])
        # So near the end that pipe(8) has written all of it.
        _pass_the_rest(faulty, passed, SIZE - 20_000)

        _await_pause(faulty, passed)
        kill_daemons(faulty, faulty.lab.described["door"])
        _pass_the_rest(faulty, passed, SIZE // 2)

        _await_pause(faulty, passed)
        faulty.lab.run("postfix", "-c", str(faulty.lab.postfix), "stop")
        _pass_the_rest(faulty, passed, SIZE // 2)
        assert faulty.mail_for(owned.mailbox) == []
        faulty.lab.up()

        _await_pause(faulty, passed)
        faulty.lab.send_signal("forwarder", signal.SIGKILL)
        passed.go_on()
        watch.await_lines(1, f"to=<{owned.alias}>", "status=deferred")
    assert faulty.mail_for(owned.mailbox) == []
    faulty.lab.up()
    await_flow(faulty, owned.mailbox, 1)
    (mail,) = faulty.mail_for(owned.mailbox)
    assert mail.content.partition(b"\r\n\r\n")[2] == body
    assert watch.bounced() == []


def test_the_deliverer_killed_while_the_forwarder_has_it(faulty: Service) -> None:
    """The copy is sent, and nobody is there to hear it: the next try finds it in the ledger."""
    owned = faulty.alias()
    with passage(faulty, "reinject") as passed:
        _drop_kept_connections(faulty)
        passed.stop(at=b"queued as")
        faulty.send("bob@example.com", [owned.alias], message(owned.alias, "once"))
        _await_pause(faulty, passed)
        kill_daemons(faulty, faulty.lab.described["door"])
        passed.go_on()
        assert await_flow(faulty, owned.mailbox, 1) == ["once"]


def test_the_forwarder_killed_before_it_heard_that_the_copy_was_taken(faulty: Service) -> None:
    """The one place where a copy may come twice; the log says so."""
    owned = faulty.alias()
    with passage(faulty, "reinject") as passed:
        _drop_kept_connections(faulty)
        passed.stop(at=b"queued as")
        faulty.send("bob@example.com", [owned.alias], message(owned.alias, "twice"))
        _await_pause(faulty, passed)
        faulty.lab.send_signal("forwarder", signal.SIGKILL)
    logged = len(faulty.lab.program_log("forwarder"))
    faulty.lab.up()
    assert await_flow(faulty, owned.mailbox, 2) == ["twice", "twice"]
    assert faulty.lab.program_log("forwarder")[logged:].count(" resend ") == 1


def _drop_kept_connections(faulty: Service) -> None:
    """Let the forwarder come by new connections for its next messages."""
    kill_daemons(faulty, "smtpd")


def _await_pause(faulty: Service, passed: Passage) -> None:
    """Until the message is stopped on its way; a deferred one is tried again."""
    faulty.lab.wait_retrying(passed.paused.is_set, "the pause")


def _pass_the_rest(faulty: Service, passed: Passage, after: int) -> None:
    """Let through what was sent before the death, and wait until the forwarder has thrown it away.

    after: where the next try is stopped, which may be there already.
    """

    def thrown_away() -> int:
        return faulty.lab.program_log("forwarder").count("hung up within a message")

    before = thrown_away()
    passed.stop(after=after)
    faulty.lab.wait_for(lambda: thrown_away() > before, "the forwarder's word on half a message")
