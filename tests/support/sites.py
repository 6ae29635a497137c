"""Starting configurations of hosts (tests/golden/postfix) as text, and as a running Postfix with our
programs beside it, not attached yet.

    with running("rspamd") as site:
        site.postmask("postfix", "attach")
        site.send("SMTP", "me@host.test")

A running site is a lab whose Postfix has the host's configuration; what it would deliver anywhere ends in
the lab's sink.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import smtplib
import socket
import sqlite3
import ssl
import subprocess
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller

from lab import IDLE, Delivered, Lab, lab
from played_srs import played_srs
from ports import free_port
from postmask_postfix.attachment import entries as files
from postmask_postfix.attachment.plan import Configuration
from postmask_postfix.instance import Instance, cool

FOLDER = Path(__file__).parents[1] / "golden/postfix"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/site.toml"))
REFUSED = ("broken",)
FINE = [name for name in NAMES if name not in REFUSED]
DOMAIN = "alias.test"

_PORT = re.compile(r"@([A-Z]+)@")


def described(name: str) -> dict[str, Any]:
    """What site.toml says."""
    return tomllib.loads((FOLDER / name / "site.toml").read_text())


def configuration(name: str) -> Configuration:
    """The host's configuration, ports and folders still to be filled in."""
    told = described(name)
    main = Path(told.get("main", FOLDER / name / "main.cf")).read_text()
    master = Path(told.get("master", FOLDER / name / "master.cf")).read_text()
    if "installed" in told:
        main = with_parameters(main, told["installed"])
        master = re.sub(r"(?m)^smtp( +inet)", r"127.0.0.1:@SMTP@\1", master)
    return Configuration(main, master)


def with_parameters(main: str, parameters: dict[str, str]) -> str:
    """A main.cf in which these parameters have these values."""
    entries = files.main_cf(main)
    for name, value in parameters.items():
        new = files.Entry(name, f"{name} = {value}".rstrip() + "\n")
        there = files.last(entries, name)
        entries = files.replaced(entries, there, new) if there else (*entries, new)
    return files.joined(entries)


class Site(Lab):
    """A lab that runs as the host. ports: of its listeners, by their names in master.cf."""

    def __init__(self, name: str, running: Lab) -> None:
        super().__init__(running.directory, running.described)
        self.name = name
        self.told = described(name)
        self.instance = Instance(running.directory)
        self.ports = self._ports()

    def _ports(self) -> dict[str, int]:
        made = configuration(self.name)
        names = dict.fromkeys(_PORT.findall(made.main + made.master))
        ports = {"SINK": int(self._sink_port()), "SMTP": int(self.described["smtp"].rpartition(":")[2])}
        for name in names:
            if name not in ("DIR", *ports):
                ports[name] = free_port()
        return ports

    def _sink_port(self) -> str:
        relay = self.postconf("-h", "relayhost").strip()
        return relay.rpartition(":")[2]

    def become(self) -> None:
        """Take the host's configuration."""
        self.instance.run("stop")
        self._copy_files()
        made = configuration(self.name)
        base = self.instance.base_parameters(f"127.0.0.1:{self.ports['SINK']}")
        here = {name: base[name] for name in _HERE}
        here["local_transport"] = f"smtp:[127.0.0.1]:{self.ports['SINK']}"
        (self.postfix / "main.cf").write_text(with_parameters(self.filled(made.main), here))
        cool(self.postfix / "main.cf")
        (self.postfix / "master.cf").write_text(self.filled(made.master))
        self.instance.run("start")
        self.get_past_postscreen()

    def filled(self, text: str) -> str:
        """With this site's ports and folder."""
        text = text.replace("@DIR@", str(self.directory))
        return _PORT.sub(lambda match: str(self.ports[match[1]]), text)

    def _copy_files(self) -> None:
        target = self.directory / "files"
        target.mkdir()
        target.chmod(0o755)
        for source in (FOLDER / self.name).glob("files/*"):
            (target / source.name).write_text(self.filled(source.read_text()))
            if source.suffix == ".sql":
                with contextlib.closing(sqlite3.connect(target / "mail.db")) as database:
                    database.executescript(source.read_text())
        if "cert.pem" in configuration(self.name).main:
            _make_certificate(target)

    def hashes(self) -> list[str]:
        """SHA-256 of main.cf and master.cf."""
        return [
            hashlib.sha256((self.postfix / name).read_bytes()).hexdigest()
            for name in ("main.cf", "master.cf")
        ]

    def session(
        self, listener: str, *, inside: bool = False, login: str | None = None, source: str = "127.0.0.1"
    ) -> smtplib.SMTP:
        """A client of a listener: from the host itself, or from outside.

        source: its address as postscreen(8) sees it, to which XCLIENT means nothing.
        Raises smtplib.SMTPConnectError where the client is refused whoever it writes to.
        """
        port, name = self.ports[listener], "mail.example.com"
        if listener == "SMTPS":
            session: smtplib.SMTP = smtplib.SMTP_SSL(
                "127.0.0.1", port, name, timeout=60, context=_unverified()
            )
        else:
            session = smtplib.SMTP("127.0.0.1", port, name, timeout=60, source_address=(source, 0))
        session.ehlo()
        if listener == "SUBMISSION":
            session.starttls(context=_unverified())
            session.ehlo()
        if not inside:
            claimed = f"ADDR=198.51.100.7 NAME={name}" + (f" LOGIN={login}" if login else "")
            code, text = session.docmd("XCLIENT", claimed)
            if code != 220:
                session.close()
                raise smtplib.SMTPConnectError(code, text)
            session.ehlo()
        return session

    def get_past_postscreen(self) -> None:
        """A client that it has tested once is let through at once."""
        if "postscreen" in configuration(self.name).master:
            self.wait_for(lambda: self.rcpt("SMTP", "me@host.test", inside=True) != 450, "postscreen")

    def rcpt(self, listener: str, recipient: str, **client: Any) -> int:
        """How a recipient is answered."""
        with self.session(listener, **client) as session:
            session.mail("bob@example.com")
            return session.rcpt(recipient)[0]

    def send(self, listener: str, recipient: str, subject: str, **client: Any) -> int:
        """One message; how RCPT was answered."""
        content = f"From: bob@example.com\nTo: {recipient}\nSubject: {subject}\n\nhello\n"
        with self.session(listener, **client) as session:
            session.mail("bob@example.com")
            code, _ = session.rcpt(recipient)
            if code == 250:
                assert session.data(content.encode())[0] == 250
        return code

    def send_own(self, subject: str, seconds: float = 60.0) -> None:
        """The host's own mail, each of it as it should be, all at once. seconds: what a session may take."""

        def sent(numbered: tuple[int, dict[str, Any]]) -> tuple[int, float]:
            number, mail = numbered
            began = time.monotonic()
            title = f"{subject} {number}"
            code = self.send(mail["listener"], mail["to"], title, inside=mail.get("inside", False))
            return code, time.monotonic() - began

        mails = list(enumerate(self.told["mail"]))
        with ThreadPoolExecutor(len(mails)) as threads:
            answers = list(threads.map(sent, mails))
        for (_, mail), (code, took) in zip(mails, answers, strict=True):
            assert code == mail["answer"], (mail, self.log()[-2000:])
            assert took < seconds, (mail, took)
        for number, mail in mails:
            if mail.get("arrives"):
                arrived = self.await_title(f"{subject} {number}", mail["arrives"])
                assert arrived.sender.startswith(mail.get("sender", "")), arrived.sender
                assert b"x-postmask" not in arrived.content.lower(), arrived.content

    def ask_own(self) -> None:
        """The same as far as RCPT."""
        for mail in self.told["mail"]:
            answer = self.rcpt(mail["listener"], mail["to"], inside=mail.get("inside", False))
            assert answer == mail["answer"], (mail, self.log()[-2000:])

    def await_title(self, title: str, recipient: str) -> Delivered:
        """The first message at the sink with that subject for that recipient."""
        wanted = f"\nSubject: {title}\r\n".encode()

        def arrived() -> Delivered | None:
            found = (
                mail
                for mail in self.delivered()
                if wanted in b"\n" + mail.content and recipient in mail.recipients
            )
            return next(found, None)

        mail = self.wait_for(arrived, f"{title} to {recipient}\n{self.log()[-3000:]}", 60)
        assert isinstance(mail, Delivered)
        return mail


_HERE = (
    "config_directory", "queue_directory", "data_directory", "maillog_file", "maillog_file_prefixes",
    "inet_interfaces", "inet_protocols", "smtpd_authorized_xclient_hosts", "relayhost", "smtp_host_lookup",
    "smtp_dns_support_level", "smtp_tls_security_level", "service_throttle_time", "queue_run_delay",
    "minimal_backoff_time", "maximal_backoff_time", "transport_retry_time",
)  # fmt: skip
"""The parameters without which it would not be a throw-away Postfix."""


@contextlib.contextmanager
def running(name: str, *, idle: bool = False, **options: Any) -> Iterator[Site]:
    """The host with a service of ours that it doesn't know of. idle: our programs do nothing."""
    with lab(programs=IDLE if idle else {}, **options) as made:
        site = Site(name, made)
        made.postmask("domain", "add", DOMAIN, "--postmaster", "postmaster@real.test")
        made.postmask("mailbox", "add", "me@real.test", "--verified")
        made.postmask("alias", "add", f"shop@{DOMAIN}", "--to", "me@real.test")
        with contextlib.ExitStack() as neighbours:
            if "FILTER" in site.ports:
                neighbours.enter_context(_filter(site.ports))
            if "SRS" in site.ports:
                neighbours.enter_context(played_srs(site.ports["SRS"], site.ports["UNSRS"]))
            if "NOBODY" in site.ports:
                neighbours.enter_context(_nobody(site.ports["NOBODY"]))
            site.become()
            yield site


@contextlib.contextmanager
def _nobody(port: int) -> Iterator[None]:
    """Nobody listens there, nor will anybody: at a port that is merely free, some other lab's program might,
    and leave Postfix waiting half a minute for a milter's answer.
    """
    with socket.socket() as held:
        held.bind(("127.0.0.1", port))
        yield


@contextlib.contextmanager
def _filter(ports: dict[str, int]) -> Iterator[None]:
    """A content filter that passes everything on to the listener behind it."""

    class Passing:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            with smtplib.SMTP("127.0.0.1", ports["AFTER"], timeout=60) as onward:
                onward.sendmail(envelope.mail_from, envelope.rcpt_tos, envelope.content)
            return "250 2.0.0 passed on"

    controller = Controller(Passing(), hostname="127.0.0.1", port=ports["FILTER"])
    controller.start()
    try:
        yield
    finally:
        controller.stop()


def _make_certificate(folder: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=mx.host.test",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"], check=True, capture_output=True,
    )  # fmt: skip


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
