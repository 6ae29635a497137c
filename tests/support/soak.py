"""A storm over a lab: numbered messages flow while everything is killed at random, and what became of them.

Each try to hand over a message is a message of its own, "number.try" in its Subject: a client that heard
no answer must try again, and may have been understood the first time.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import re
import signal
import smtplib
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import freezing
from faults import kill_daemons, message
from played_engine import PlayedEngine
from postgres import Cluster
from postmask_postfix import processes
from service import Service

AHEAD = 40
"""How many accepted messages may be on their way before the senders wait."""

CONTACTS = 20
PROGRAMS = ("milter-alias", "milter-scan", "forwarder", "agent", "postfix")
DAEMONS = ("client", "door", "smtpd", "cleanup", "qmgr", "smtp", "trivial-rewrite", "proxymap")
DATABASE = ("stopped", "frozen", "disconnected")
ENGINE = "spam engine"
ALL = (*PROGRAMS, *DAEMONS, *DATABASE, ENGINE)
_SUBJECT = re.compile(rb"^Subject: (\d+\.\d+)\r$", re.M)
_NOTICE = b"Subject: Postfix SMTP server: errors from"
"""What Postfix tells its postmaster of a cleanup(8) that died (notify_classes)."""

_QUEUE_ID = re.compile(
    rb"\A(?:.+\r\n)*?Received: from [^\r]*\r\n(?:[ \t].*?\bid ([0-9A-Za-z]+)\b.*\r\n)", re.M
)
_marks = itertools.count(1)
_RESEND = re.compile(r" resend .*\bkey=([0-9a-f]{64})")
_RESTED = re.compile(r' scan .*\bunscanned="[^"]*breaker open[^"]*".* ms=([0-9.]+)$', re.M)


@dataclass(slots=True)
class Load:
    """What was handed over. mailboxes: of each alias; accepted: tries that were answered 250, with their
    recipients; told: how often which answer came; wrong: answers that must not be.
    """

    mailboxes: dict[str, tuple[str, ...]]
    accepted: dict[str, Sequence[str]] = field(default_factory=dict)
    tries: int = 0
    told: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


class Senders:
    """Threads that hand over messages to the lab's Postfix, each until it is accepted, while the block lasts.

    With the unknown recipient that some carry they ask for what must never be accepted, and a refusal of
    a known one is never permanent; `load.wrong` has what broke that.
    """

    def __init__(self, service: Service, load: Load, threads: int = 2) -> None:
        self._address = service.lab.described["smtp"].rpartition(":")
        self._sink = service.lab.directory / "sink"
        self._load = load
        self._aliases = list(load.mailboxes)
        self._arrived = 0
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(threads)]

    def __enter__(self) -> Senders:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    def accepted(self) -> int:
        """Messages that were accepted."""
        return len(self._load.accepted)

    def arrived(self) -> int:
        """Copies at the sink, which numbers them."""
        count = self._arrived
        while (self._sink / f"{count + 1:06d}.eml").exists():
            count += 1
        self._arrived = count
        return count

    def _run(self) -> None:
        while not self._stop.is_set():
            if len(self._load.accepted) - self.arrived() > AHEAD:
                self._stop.wait(0.1)
                continue
            self._hand_over(next(self._numbers))

    def _hand_over(self, number: int) -> None:
        recipients = [self._aliases[number % len(self._aliases)]]
        if number % 10 == 0:
            recipients = self._aliases
        for attempt in itertools.count(1):
            name = f"{number:05d}.{attempt}"
            if self._offer(name, recipients, number):
                return
            # Whoever is down is given time to come back, as a sender does, only less of it.
            time.sleep(0.1)

    def _offer(self, name: str, recipients: Sequence[str], number: int) -> bool:
        """One try; whether the message was accepted, for all of them."""
        self._load.tries += 1
        host, _, port = self._address
        sender = f"contact{number % CONTACTS}@example.com"
        try:
            with smtplib.SMTP(host, int(port), timeout=60) as session:
                session.ehlo()
                session.mail(sender)
                if number % 7 == 0:
                    self._judge(session.rcpt(f"nobody{number}@alias.test")[0], known=False)
                codes = [session.rcpt(recipient)[0] for recipient in recipients]
                for code in codes:
                    self._judge(code, known=True)
                if any(code != 250 for code in codes):
                    return False
                content = message(recipients[0], name).replace(b"bob@example.com", sender.encode())
                code = session.data(content)[0]
        except smtplib.SMTPResponseException as error:
            code = error.smtp_code
        except (OSError, smtplib.SMTPException):
            return False
        self._judge(code, known=True)
        if code == 250:
            with self._lock:
                self._load.accepted[name] = recipients
        return code == 250

    def _judge(self, code: int, *, known: bool) -> None:
        with self._lock:
            self._load.told[code] += 1
            if (code == 250 and not known) or (code >= 500 and known):
                self._load.wrong.append(f"{code} to {'a known' if known else 'an unknown'} recipient")


class Storm:
    """Does one thing after the other to a lab and mends it: all there are, in random order, then anew.

    frozen: seconds that the spam engine is frozen for, the first time; later it is as short as the others.
    delays: seconds that the scan milter kept each message for meanwhile, once its breaker was open. calm: how
    many messages were accepted meanwhile, with nothing else going wrong.
    """

    def __init__(
        self, service: Service, cluster: Cluster, engine: PlayedEngine, chance: random.Random, frozen: float
    ) -> None:
        self.strikes: Counter[str] = Counter()
        self.delays: list[float] = []
        self.calm = 0
        self._service = service
        self._cluster = cluster
        self._engine = engine
        self._chance = chance
        self._frozen = frozen
        self._left: list[str] = []

    @property
    def complete(self) -> bool:
        """Whether everything was done at least once."""
        return len(self.strikes) == len(ALL)

    def strike(self, senders: Senders) -> None:
        """The next one."""
        if not self._left:
            self._left = self._chance.sample(ALL, len(ALL))
        what = self._left.pop()
        self.strikes[what] += 1
        if what in DATABASE:
            with self._database(what):
                self._await_progress(senders)
        elif what == ENGINE:
            self._freeze_engine(senders)
        elif what in PROGRAMS:
            if what == "postfix":
                self._still_postfix()
            self._service.lab.send_signal(what, signal.SIGKILL)
        else:
            kill_daemons(self._service, what)
        self._service.lab.up()
        self._service.lab.flush()
        self._await_progress(senders)

    def _still_postfix(self) -> None:
        """Hold all of Postfix still, with everything in its log that it has said.

        What postlogd(8) hadn't read when it is killed is missing from the log for good, and
        `postmask reconcile` would say so. A child that is born meanwhile is held, too.
        """
        running = self._service.lab
        master = running.described["pids"]["postfix"][0]
        still: set[int] = set()
        while True:
            for pid in self._writers(master) - still:
                freezing.freeze(pid)
                still.add(pid)
            mark = f"all was said {next(_marks)}"
            running.run("postlog", "-c", str(running.postfix), "-t", "postfix/storm", mark)
            running.await_log(mark)
            freezing.freeze(master)
            if self._writers(master) <= still:
                return
            freezing.thaw(master)

    @staticmethod
    def _writers(master: int) -> set[int]:
        return {pid for pid in processes.children(master) if processes.name(pid) not in ("postlogd", "")}

    def _freeze_engine(self, senders: Senders) -> None:
        seconds, self._frozen = self._frozen, 0.0
        before, accepted, until = senders.arrived(), senders.accepted(), time.monotonic() + seconds
        said = len(self._service.lab.program_log("milter-scan"))
        self._engine.freeze()
        self._await_progress(senders)
        while time.monotonic() < until:
            time.sleep(0.05)
        rested = _RESTED.findall(self._service.lab.program_log("milter-scan")[said:])
        self.delays += [float(milliseconds) / 1000 for milliseconds in rested]
        self._engine.thaw()
        assert senders.arrived() - before >= seconds / 10, "mail stood still behind a frozen engine"
        if seconds:
            self.calm += senders.accepted() - accepted

    @contextlib.contextmanager
    def _database(self, what: str) -> Iterator[None]:
        match what:
            case "stopped":
                with self._cluster.stopped():
                    yield
            case "frozen":
                with self._cluster.frozen():
                    yield
            case _:
                self._cluster.disconnect_all()
                yield

    def _await_progress(self, senders: Senders) -> None:
        """Until some more messages have arrived; with a strike in the way for a while at most."""
        wanted = senders.arrived() + self._chance.randint(1, 15)
        until = time.monotonic() + self._chance.uniform(0.5, 2.0)
        while senders.arrived() < wanted and time.monotonic() < until:
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. copies: for each message and mailbox one; twice: message → why (see `judge`)."""

    copies: int
    lost: list[str]
    strangers: list[str]
    twice: dict[str, str]

    @property
    def unexplained(self) -> list[str]:
        return [name for name, why in self.twice.items() if not why]


def judge(service: Service, load: Load) -> Outcome:
    """Compare what was accepted with what lies at the sink.

    A copy that came twice is "postfix" where one queue id was delivered twice, and "unknown answer" where
    the forwarder says in its log that it never learned the outcome of that copy.
    """
    came: dict[tuple[str, str], list[str]] = defaultdict(list)
    strangers = []
    for mail in service.lab.delivered():
        subject, queue_id = _SUBJECT.search(mail.content), _QUEUE_ID.search(mail.content)
        if _NOTICE in mail.content:
            continue
        if subject is None or queue_id is None:
            strangers.append(mail.content[:2000].decode("utf-8", "replace"))
            continue
        for mailbox in mail.recipients:
            came[subject[1].decode(), mailbox].append(queue_id[1].decode())
    lost = [
        f"{name} to {mailbox}"
        for name, recipients in load.accepted.items()
        for recipient in recipients
        for mailbox in load.mailboxes[recipient]
        if (name, mailbox) not in came
    ]
    keys = _keys(service)
    resent = set(_RESEND.findall(service.lab.program_log("forwarder")))
    twice = {
        f"{name} to {mailbox}": _cause(queue_ids, keys, resent)
        for (name, mailbox), queue_ids in came.items()
        if len(queue_ids) > 1
    }
    return Outcome(len(came), lost, strangers, twice)


def _cause(queue_ids: Sequence[str], keys: dict[str, str], resent: set[str]) -> str:
    if len(set(queue_ids)) < len(queue_ids):
        return "postfix"
    return "unknown answer" if any(keys.get(one) in resent for one in queue_ids) else ""


def _keys(service: Service) -> dict[str, str]:
    """New queue id → ledger key, as re-injection logs it."""
    found = re.findall(r": ([0-9A-Za-z]+): client=.*orig_queue_id=([0-9a-f]{64})", service.lab.log())
    return dict(found)
