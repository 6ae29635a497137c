"""Both doors, with the real pipe(8) and lmtp(8): what arrives at the forwarder, and what its answers do."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Lab
from lmtp_service import Recorder, lmtp_service
from postmask.verdict import defer, reject
from postmask_postfix import processes
from scripted_peer import Peer, scripted_peer

BODY = (
    b"From: s@example.com\r\nTo: a@alias.test\r\nSubject: x\r\n"
    b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@x>\r\n\r\n"
)


def send(running: Lab, content: bytes = BODY + b"hello\r\n", **options: str) -> None:
    sender = options.get("sender", "s@example.com")
    with running.client(login=options.get("login")) as session:
        session.command_encoding = "utf-8"
        mail = ["SMTPUTF8"] if not sender.isascii() else []
        code, reply = session.docmd(f"MAIL FROM:<{sender}> BODY=8BITMIME {' '.join(mail)}".strip())
        assert code == 250, reply
        code, reply = session.rcpt(options.get("recipient", "a@alias.test"))
        assert code == 250, reply
        code, reply = session.data(content)
        assert code == 250, reply


def body(data: bytes) -> bytes:
    """What was sent, without what Postfix puts before it."""
    return data[data.index(b"From: s@") :]


def test_what_arrives(door: Lab, forwarder: Path) -> None:
    with lmtp_service(forwarder) as service:
        send(door, login="user@example.com")
        door.wait_for(lambda: service.recorder.messages, "the message")
        ((envelope, data),) = service.recorder.messages
        door.await_empty_queue()
    assert body(data) == BODY + b"hello\r\n"
    assert (envelope.sender, envelope.recipients) == ("s@example.com", ("a@alias.test",))
    client = envelope.client
    assert (client.address, client.name, client.helo) == (
        "198.51.100.7",
        "mail.example.com",
        "mail.example.com",
    )
    assert client.protocol == "ESMTP"
    assert client.queue_id is not None
    door.await_log(f"{client.queue_id}: to=<a@alias.test>")
    if door.described["door"] == "pipe":
        assert client.login == "user@example.com"


@pytest.mark.parametrize(
    "local",
    [
        '"$(touch /tmp/owned)"',
        "`id`",
        "x-rf",
        '"a b"',
        '"a;b|c"',
        "'x'",
        "%n",
        "a=b",
        "jürgen",
        "x" * 64,
        '"quote\\"d"',
        '""',
    ],
)
def test_hostile_senders(door: Lab, forwarder: Path, local: str) -> None:
    sender = f"{local}@{'y' * 60}.example.com"
    with lmtp_service(forwarder) as service:
        send(door, sender=sender)
        door.wait_for(lambda: service.recorder.messages, "the message")
        assert service.recorder.messages[0][0].sender == sender
        door.await_empty_queue()


def test_the_null_sender(door: Lab, forwarder: Path) -> None:
    with lmtp_service(forwarder) as service:
        send(door, sender="")
        door.wait_for(lambda: service.recorder.messages, "the message")
        assert service.recorder.messages[0][0].sender == ""


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b".\r\n..\r\n.x\r\n",
        b"x" * 5000 + b"\r\n" + b"y" * 998 + b"\r\n",
        bytes(range(1, 10)) + b"\x0b\x0c" + bytes(range(14, 256)) + b"\r\n",
        b"\0nul\0\r\n",
        b"no line end",
    ],
)
def test_octets(door: Lab, forwarder: Path, text: bytes) -> None:
    """Exactly what Postfix's queue holds, with CRLF for its line ends."""
    with lmtp_service(forwarder, Recorder(at_dot=lambda envelope, _: [defer("4.2.1", "look")])) as service:
        send(door, BODY + text)
        door.wait_for(lambda: service.recorder.messages, "the message")
        queued = door.queued_content(str(service.recorder.messages[0][0].client.queue_id))
        assert service.recorder.messages[0][1] == queued.replace(b"\n", b"\r\n")
        assert body(queued).replace(b"\n", b"\r\n").startswith(BODY)


def test_twenty_megabytes(door: Lab, forwarder: Path) -> None:
    text = b"".join(b"%076d\r\n" % number for number in range(250_000))
    with lmtp_service(forwarder) as service:
        send(door, BODY + text)
        door.wait_for(lambda: service.recorder.messages, "the message")
        door.await_empty_queue()
    assert body(service.recorder.messages[0][1]) == BODY + text


def outcome(running: Lab, queue_id: str) -> str:
    """How the log tells the delivery's end."""
    return running.await_log(f"{queue_id}: to=<a@alias.test>")


def test_our_refusal_bounces(door: Lab, forwarder: Path) -> None:
    before = door.log().count("status=bounced")
    with lmtp_service(forwarder, Recorder(at_dot=lambda *_: [reject("5.7.1", "not you")])):
        send(door)
        door.wait_for(lambda: door.log().count("status=bounced") > before, "the bounce")
    assert "dsn=5.7.1" in door.log()


def test_our_deferral_waits(door: Lab, forwarder: Path) -> None:
    with lmtp_service(forwarder, Recorder(at_dot=lambda *_: [defer("4.2.1", "not now")])):
        send(door)
        assert "dsn=4.2.1, status=deferred" in door.await_log("not now")


def raise_at_dot(*_: object) -> list[object]:
    raise RuntimeError("5.1.1 postmask: no")


@pytest.mark.parametrize("answers", [raise_at_dot, lambda *_: [], lambda *_: None])
def test_a_broken_handler_waits(door: Lab, forwarder: Path, answers: Callable[..., list[object]]) -> None:
    before = door.log().count("status=deferred")
    bounced = door.log().count("status=bounced")
    with lmtp_service(forwarder, Recorder(at_dot=answers)):  # type: ignore[arg-type]
        send(door)
        door.wait_for(lambda: door.log().count("status=deferred") > before, "the deferral")
    assert door.log().count("status=bounced") == bounced
    assert door.queue()


def refuse(verb: bytes, reply: bytes) -> Callable[[Peer], None]:
    """A forwarder that answers so at that verb, and well before."""

    def script(peer: Peer) -> None:
        peer.say(reply if verb == b"" else b"220 x\r\n")
        while True:
            command = peer.read_line()
            if command.startswith(verb):
                peer.say(reply)
            elif command == b"DATA":
                peer.say(b"354 go on\r\n")
                peer.take_data()
                peer.say(reply)
            else:
                peer.say(b"250-x\r\n250 PIPELINING\r\n" if command.startswith(b"LHLO") else b"250 ok\r\n")

    return script


REFUSALS = [
    (verb, reply)
    for reply in (b"550 5.1.1 nobody here\r\n", b"500 what\r\n", b"2\0 x\r\n")
    for verb in (b"", b"LHLO", b"MAIL", b"RCPT", b"DATA", b".")
    if (verb, reply) != (b".", b"2\0 x\r\n")
]
"""lmtp(8) passes over what is no reply at all, so after the dot only verdict.lmtp_reply may speak."""


@pytest.mark.parametrize(("verb", "reply"), REFUSALS)
def test_foreign_refusals_wait(door: Lab, forwarder: Path, verb: bytes, reply: bytes) -> None:
    before, bounced = door.log().count("status=deferred"), door.log().count("status=bounced")
    with scripted_peer(forwarder, *[refuse(verb, reply)] * 3):
        forwarder.chmod(0o666)
        send(door)
        door.wait_for(lambda: door.log().count("status=deferred") > before, "the deferral")
    assert door.log().count("status=bounced") == bounced
    assert door.queue()


def test_the_site_s_own_tls_is_not_asked_for_at_our_sockets(door: Lab, forwarder: Path) -> None:
    """As on a host whose only listener is on port 465, and whose mailboxes are reached by LMTP over TLS."""
    port = door.described["smtp"].rpartition(":")[2]
    door.postconf("-P", f"127.0.0.1:{port}/inet/smtpd_tls_wrappermode=no")
    own = dict.fromkeys(("smtpd_tls_wrappermode", "lmtp_tls_wrappermode"), "yes")
    own |= {"lmtp_tls_security_level": "encrypt", "lmtp_tls_policy_maps": "static:encrypt"}
    with lmtp_service(forwarder) as service, door.main_cf(**own):
        send(door)
        door.wait_for(lambda: service.recorder.messages, "the message")
        with door.reinjection() as session:
            assert session.noop()[0] == 250


def test_a_sender_that_needs_quotes_has_them(door: Lab, forwarder: Path) -> None:
    """Also where the site's own LMTP hosts are told of it without."""
    with lmtp_service(forwarder) as service, door.main_cf(lmtp_quote_rfc821_envelope="no"):
        send(door, sender='"joe doe"@example.com')
        door.wait_for(lambda: service.recorder.messages, "the message")
    assert service.recorder.messages[0][0].sender == '"joe doe"@example.com'


def test_a_dead_forwarder_and_back(door: Lab, forwarder: Path) -> None:
    before = door.log().count("status=deferred")
    send(door)
    door.wait_for(lambda: door.log().count("status=deferred") > before, "the deferral")
    with lmtp_service(forwarder) as service:
        door.flush()
        door.wait_for(lambda: service.recorder.messages, "the message", 60)
        door.await_empty_queue()


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_no_half_message(pipe_lab: Lab, forwarder: Path, end: str) -> None:
    """pipe(8) is killed, or Postfix stopped, while a large message is being handed over."""
    running = pipe_lab
    rest: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.open()
        peer.take_envelope()
        peer.sock.recv(100_000)
        if end == "stop":
            running.run("postfix", "-c", str(running.postfix), "stop")
        else:
            for pid in deliveries(running):
                os.kill(pid, signal.SIGKILL)
        rest.append(peer.await_hangup())

    text = b"".join(b"%076d\r\n" % number for number in range(250_000))
    with scripted_peer(forwarder, script) as server:
        forwarder.chmod(0o666)
        send(running, BODY + text)
        server.finish()
    forwarder.unlink()
    assert len(rest[0]) < len(text)
    assert not rest[0].endswith(b"\r\n.\r\n")
    with lmtp_service(forwarder) as service:
        if end == "stop":
            running.up()
        running.flush()
        running.wait_for(lambda: service.recorder.messages, "the whole message", 60)
        running.await_empty_queue()
    assert [body(data) == BODY + text for _, data in service.recorder.messages] == [True]


def deliveries(running: Lab) -> list[int]:
    """The lab's running pipe(8) processes."""
    master = running.described["pids"]["postfix"][0]
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    return [int(pid) for pid in children if processes.name(int(pid)) == "pipe"]


def test_nothing_of_an_address_in_what_the_client_says(pipe_lab: Lab, forwarder: Path) -> None:
    send(pipe_lab, sender="secret.person@example.com")
    line = pipe_lab.await_log("is not there")
    said = re.search(r"\((.*)\)", line)
    assert said is not None
    assert "@" not in said[1]
