"""The sink keeps what it gets, byte for byte."""

import json
import smtplib
import subprocess
import sys

import pytest

from ports import free_port
from postmask_postfix.lab.readiness import Notified


@pytest.fixture(scope="module")
def sink(tmp_path_factory):
    """(port, folder) of a running sink."""
    folder, port = tmp_path_factory.mktemp("sink"), free_port()
    command = [sys.executable, "-m", "postmask_postfix.sink", "--listen", f"127.0.0.1:{port}"]
    with Notified() as notified:
        process = subprocess.Popen([*command, "--directory", folder], env={"NOTIFY_SOCKET": notified.address})
        while not notified.check():
            assert process.poll() is None
    yield port, folder
    process.terminate()
    assert process.wait(10) == 0


@pytest.fixture
def session(sink):
    with smtplib.SMTP("127.0.0.1", sink[0], local_hostname="client.test", timeout=60) as smtp:
        smtp.ehlo()
        yield smtp


def keep(session, folder, content):
    """Send a message as bytes that are dot-stuffed here; what was kept, and its envelope."""
    session.mail("a@b.test", ["BODY=8BITMIME", "SMTPUTF8"])
    session.rcpt("c@d.test")
    assert session.docmd("DATA")[0] == 354
    lines = content.split(b"\r\n")
    session.send(b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n")
    code, text = session.getreply()
    assert code == 250, text
    number = text.decode().rsplit(" ", 1)[-1]
    return (folder / f"{number}.eml").read_bytes(), json.loads((folder / f"{number}.json").read_text())


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: x\r\n\r\nhello\r\n",
        b"no header at all\r\n",
        b"\r\n",
        b".\r\n..\r\n. \r\n.x\r\n",
        b"bare\nline\nfeeds\r\n.\nand\rreturns\r\r\n",
        bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") + b"\r\n",
        b"long: " + b"x" * 3_000_000 + b"\r\n",
    ],
)
def test_bytes(session, sink, content):
    kept, envelope = keep(session, sink[1], content)
    assert kept == content
    assert envelope["from"] == "a@b.test"
    assert envelope["rcpt"] == ["c@d.test"]
    assert {"BODY=8BITMIME", "SMTPUTF8"} <= set(envelope["mail_options"])
    assert envelope["helo"] == "client.test"


def test_twenty_megabytes(session, sink):
    content = (b"z" * 76 + b"\r\n") * 270_000
    assert keep(session, sink[1], content)[0] == content


def test_several_messages_on_one_connection_are_numbered(session, sink):
    before = len(list(sink[1].glob("*.eml")))
    for number in range(3):
        keep(session, sink[1], b"Subject: %d\r\n" % number)
    kept = sorted(sink[1].glob("*.eml"))
    assert len(kept) == before + 3
    assert [path.read_bytes() for path in kept[-3:]] == [b"Subject: %d\r\n" % number for number in range(3)]


def test_the_null_sender_and_unicode(session, sink):
    session.mail("", ["SMTPUTF8"])
    session.send("RCPT TO:<ü@bücher.test>\r\n".encode())
    assert session.getreply()[0] == 250
    session.data(b"x\r\n")
    envelope = json.loads(sorted(sink[1].glob("*.json"))[-1].read_text())
    assert (envelope["from"], envelope["rcpt"]) == ("", ["ü@bücher.test"])


def test_mailboxes_that_refuse(session):
    session.mail("a@b.test")
    assert session.rcpt("bounce-me@d.test") == (550, b"5.1.1 no such mailbox here")
    assert session.rcpt("defer.me@d.test")[0] == 450
    assert session.rcpt("full@d.test")[0] == 250
    assert session.data(b"x\r\n")[0] == 552


def test_a_taken_port_is_an_error_in_words(sink, tmp_path):
    command = [sys.executable, "-m", "postmask_postfix.sink", "--listen", f"127.0.0.1:{sink[0]}"]
    done = subprocess.run([*command, "--directory", tmp_path], capture_output=True, text=True)
    assert done.returncode == 69
    assert done.stderr.startswith("sink: can't listen on 127.0.0.1:")
    assert done.stderr.count("\n") == 1
