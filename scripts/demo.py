"""The whole way of a message, shown: what `make demo` runs.

It brings up a lab (a throw-away Postfix on loopback ports, with everything attached), makes an alias,
sends a message to it, lets the owner reply and the mailbox bounce, and shows each on the terminal.
With --keep the lab goes on running, with the commands to play on.

DIAGNOSTICS
    Exit status 0 when all was seen; 1 with the programs' last log lines when something did not come.
"""

from __future__ import annotations

import argparse
import email
import email.utils
import json
import shlex
import shutil
import smtplib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from postmask.display import printable

T = TypeVar("T")

DOMAIN = "alias.test"
ALIAS = f"shop@{DOMAIN}"
MAILBOX = "jane.doe@real.test"
CONTACT = "bob@shop.example"
SECONDS = 60.0

console = Console(width=None if sys.stdout.isatty() else 132, highlight=False)


class DemoError(Exception):
    """Something that should have come did not."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message at the sink: where Postfix would have sent it on."""

    sender: str
    recipient: str
    content: bytes


class Demo:
    """A lab in a folder, and what is done with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.config: tuple[str, ...] = ()
        self.lab: dict[str, Any] = json.loads(self.postmask("lab", "up", str(directory), "--json"))
        self.config = ("--config", str(self.lab["config"]))

    def postmask(self, *arguments: str) -> str:
        """Run a command as an operator would, and show it; its output."""
        console.print(Text(f"$ postmask {shlex.join(arguments)}", style="bold green"))
        return self.quietly(*arguments)

    def quietly(self, *arguments: str) -> str:
        """Run a command; its output."""
        command = [sys.executable, "-m", "postmask.cli", *self.config, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise DemoError(f"postmask {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def send(
        self, sender: str, recipients: list[str], content: bytes, address: str, login: str = ""
    ) -> list[str]:
        """Send one message as if from that address; the dialogue, a line each."""
        host, _, port = self.lab["smtp"].rpartition(":")
        with smtplib.SMTP(host, int(port), local_hostname="mail.shop.example") as session:
            session.ehlo()
            claimed = f"ADDR={address} NAME=mail.shop.example" + (f" LOGIN={login}" if login else "")
            session.docmd("XCLIENT", claimed)
            session.ehlo()
            lines = [f"C: MAIL FROM:<{sender}>", f"S: {_reply(session.mail(sender))}"]
            for recipient in recipients:
                lines += [f"C: RCPT TO:<{recipient}>", f"S: {_reply(session.rcpt(recipient))}"]
            return [*lines, "C: DATA …", f"S: {_reply(session.data(content))}"]

    def await_mail(self, recipient: str) -> Mail:
        """The first message for a recipient at the sink."""

        def found() -> Mail | None:
            return next((mail for mail in self._sink() if mail.recipient == recipient), None)

        return self.wait_for(found, f"mail for {recipient}")

    def wait_for(self, condition: Callable[[], T | None], what: str) -> T:
        """The condition's first answer."""
        until = time.monotonic() + SECONDS
        while time.monotonic() < until:
            if answer := condition():
                return answer
            time.sleep(0.05)
        raise DemoError(f"{what} did not come within {SECONDS:g} s")

    def _sink(self) -> Iterator[Mail]:
        for path in sorted(Path(self.lab["sink"]).glob("*.eml")):
            envelope = json.loads(path.with_suffix(".json").read_text())
            yield Mail(envelope["from"], envelope["rcpt"][0], path.read_bytes())

    def log_tails(self) -> str:
        """The ends of the programs' logs, for a demo that failed."""
        logs = sorted((self.directory / "log").glob("*.log"))
        tails = (log.read_text(errors="replace").splitlines()[-6:] for log in logs)
        return "\n".join(f"--- {log.name}\n" + "\n".join(tail) for log, tail in zip(logs, tails, strict=True))


def _reply(answer: tuple[int, bytes]) -> str:
    return f"{answer[0]} {answer[1].decode('ascii', 'replace')}"


def heading(number: int, text: str) -> None:
    """The title of one step."""
    console.print()
    console.rule(Text(f"{number}. {text}", style="bold"), align="left")


def dialogue(lines: list[str]) -> None:
    """An SMTP dialogue, refusals marked."""
    for line in lines:
        console.print(Text("   " + line, style="red" if line.startswith("S: 5") else ""))


def beside(left: tuple[str, bytes], right: tuple[str, bytes]) -> None:
    """Two messages side by side; what differs is marked."""
    table = Table(show_lines=False, expand=True)
    for name, _ in (left, right):
        table.add_column(name, ratio=1, overflow="fold")
    before, after = _lines(left[1]), _lines(right[1])
    for tag, i, j, k, n in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        marks = ("  ", "  ") if tag == "equal" else ("- ", "+ ")
        for old, new in _paired(before[i:j], after[k:n]):
            table.add_row(_cell(old, marks[0], "red"), _cell(new, marks[1], "green"))
    console.print(table)


def _paired(before: list[str], after: list[str]) -> Iterator[tuple[str, str]]:
    """Lines that stand for each other: the same line, or the same header field."""
    left = list(before)
    for new in after:
        name = new.partition(":")[0]
        place = next((at for at, old in enumerate(left) if old.partition(":")[0] == name), None)
        if place is None:
            yield "", new
            continue
        yield from ((old, "") for old in left[:place])
        yield left[place], new
        del left[: place + 1]
    yield from ((old, "") for old in left)


def _lines(content: bytes) -> list[str]:
    """A message as lines, each header field on one; the route at the top, which Postfix adds, left out."""
    head, _, body = content.replace(b"\r\n", b"\n").partition(b"\n\n")
    fields: list[str] = []
    for line in head.decode("utf-8", "replace").split("\n"):
        if line[:1] in (" ", "\t") and fields:
            fields[-1] += " " + line.strip()
        else:
            fields.append(line)
    kept = [printable(field) for field in fields if not field.startswith("Received:")]
    return [*kept, "", *map(printable, body.decode("utf-8", "replace").rstrip("\n").split("\n"))]


def _cell(line: str, mark: str, colour: str) -> Text:
    return Text(mark + line if line else "", style="" if mark == "  " else colour)


def message(author: str, to: str, subject: str, text: str, **more: str) -> bytes:
    """A small message."""
    fields = {
        "From": author,
        "To": to,
        "Subject": subject,
        "Date": email.utils.formatdate(),
        "Message-ID": email.utils.make_msgid(domain=author.rpartition("@")[2].rstrip(">")),
        **more,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{head}\r\n{text}\r\n".encode()


def dsn(to: str) -> bytes:
    """What the mailbox's server sends back when it can't deliver."""
    report = (
        "--report\r\nContent-Type: text/plain\r\n\r\nThe mailbox is full.\r\n"
        "--report\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.real.test\r\n\r\n"
        f"Final-Recipient: rfc822; {MAILBOX}\r\nAction: failed\r\nStatus: 5.2.2\r\n\r\n--report--"
    )
    kind = 'multipart/report; report-type=delivery-status; boundary="report"'
    return message("MAILER-DAEMON@mx.real.test", to, "Undelivered Mail", report, **{"Content-Type": kind})


def run(demo: Demo) -> None:
    """All steps, one after the other."""
    heading(1, "A domain, the real mailbox, an alias")
    demo.postmask("domain", "add", DOMAIN, "--postmaster", "postmaster@real.test")
    demo.postmask("mailbox", "add", MAILBOX, "--verified", "--login", "jane")
    console.print(demo.postmask("alias", "add", ALIAS, "--to", MAILBOX, "--name", "J. D."), end="")

    heading(2, f"{CONTACT} writes to the alias, and to one that doesn't exist")
    text = "your parcel is on its way.\r\n\r\nBob"
    original = message(f"Bob's Shop <{CONTACT}>", ALIAS, "Your order", text)
    dialogue(demo.send(CONTACT, [ALIAS, f"nobody@{DOMAIN}"], original, "203.0.113.25"))

    heading(3, f"What reaches {MAILBOX}, beside what was sent")
    forwarded = demo.await_mail(MAILBOX)
    beside(("as sent", original), ("as forwarded", forwarded.content))
    console.print(f"   envelope sender: {CONTACT} → {forwarded.sender}")
    console.print("   The body is the same to the octet, and signed by the alias's domain.")

    heading(4, "Jane replies, and what Bob sees")
    reverse = email.utils.parseaddr(_header(forwarded.content, "From"))[1]
    quoted = f"thank you!\r\n\r\n> {reverse} wrote to {MAILBOX}:\r\n> your parcel is on its way."
    reply = message(
        f"Jane Doe <{MAILBOX}>", reverse, "Re: Your order", quoted,
        **{"In-Reply-To": _header(forwarded.content, "Message-ID"), "User-Agent": "Jane's laptop"},
    )  # fmt: skip
    console.print("   (Proven by her login; without one, by her provider's DKIM signature: docs/replies.md)")
    dialogue(demo.send(MAILBOX, [reverse], reply, "198.51.100.20", login="jane"))
    received = demo.await_mail(CONTACT)
    beside(("as Jane sent it", reply), ("as Bob gets it", received.content))
    leaked = MAILBOX.encode() in received.content
    console.print(f"   {MAILBOX} in what Bob got: {'YES' if leaked else 'nowhere'}")
    if leaked:
        raise DemoError("the mailbox's address leaked")

    heading(5, "The mailbox bounces: it comes home, and goes no further")
    dialogue(demo.send("", [forwarded.sender], dsn(forwarded.sender), "198.51.100.30"))
    demo.wait_for(lambda: "bounced" in demo.quietly("event", "list"), "the bounce's record")
    console.print(demo.postmask("event", "list"), end="")


def _header(content: bytes, name: str) -> str:
    return str(email.message_from_bytes(content)[name])


def where_to_go_on(demo: Demo, kept: bool) -> None:
    """The last words."""
    console.print()
    if kept:
        config = demo.lab["config"]
        console.print("The lab goes on running. Play on:", style="bold")
        console.print(f"   export POSTMASK_CONFIG={config}")
        console.print("   .venv/bin/postmask alias list")
        console.print("   .venv/bin/postmask resolve shop@alias.test --explain")
        console.print(f"   swaks or telnet to {demo.lab['smtp']}; what goes out lies in {demo.lab['sink']}")
        console.print(f"   .venv/bin/postmask lab down {demo.directory}        # the end of it")
    else:
        console.print(
            "All of it was a throw-away lab, which is gone now. `make demo KEEP=1` leaves it running."
        )
    console.print("README.md goes on from here; docs/replies.md says who may reply and why.")


def main() -> int:
    """Show it all."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keep", action="store_true", help="leave the lab running")
    keep: bool = parser.parse_args().keep
    directory = Path(tempfile.mkdtemp(prefix="postmask-demo-"))
    demo = None
    try:
        demo = Demo(directory)
        run(demo)
        where_to_go_on(demo, keep)
    except (DemoError, OSError, smtplib.SMTPException) as error:
        console.print(Text(f"The demo failed: {error}", style="bold red"))
        if demo is not None:
            console.print(demo.log_tails(), markup=False)
        return 1
    finally:
        if not keep:
            down(directory)
    return 0


def down(directory: Path) -> None:
    """Stop the lab and remove it."""
    command = [sys.executable, "-m", "postmask.cli", "lab", "down", str(directory)]
    subprocess.run(command, capture_output=True, check=False)
    shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
