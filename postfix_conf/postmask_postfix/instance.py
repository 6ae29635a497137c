"""A throw-away Postfix instance in a folder: made, started, looked at, stopped.

It is never the system's instance: it has its own configuration, queue, data and log, listens on a
loopback port, needs no syslog and no DNS, and relays everything to one host and port.

DIAGNOSTICS
    InstanceError with what the Postfix command printed, or with the end of the log.

STANDARDS
    postfix(1), postconf(5), master(5), MAILLOG_README.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from postmask_postfix import processes

MAIL_OWNER = "postfix"
SETGID_GROUP = "postdrop"


class InstanceError(Exception):
    """The instance can't be made, started or stopped; the message says why."""


_SERVICES = """\
pickup     unix n - n 60 1 pickup
cleanup    unix n - n - 0 cleanup
qmgr       unix n - n 300 1 qmgr
tlsmgr     unix - - n 1000? 1 tlsmgr
rewrite    unix - - n - - trivial-rewrite
bounce     unix - - n - 0 bounce
defer      unix - - n - 0 bounce
trace      unix - - n - 0 bounce
verify     unix - - n - 1 verify
flush      unix n - n 1000? 0 flush
proxymap   unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp       unix - - n - - smtp
relay      unix - - n - - smtp
showq      unix n - n - - showq
error      unix - - n - - error
retry      unix - - n - - error
discard    unix - - n - - discard
local      unix - n n - - local
virtual    unix - n n - - virtual
lmtp       unix - - n - - lmtp
anvil      unix - - n - 1 anvil
scache     unix - - n - 1 scache
postlog    unix-dgram n - n - 1 postlogd
"""

# Folders of a queue directory with owner and mode, as postfix-files has them. `postfix start`
# makes what is missing, but slowly.
_QUEUE_FOLDERS = (
    *(
        (name, MAIL_OWNER, "root", 0o700)
        for name in ("active", "bounce", "corrupt", "defer", "deferred", "flush")
    ),
    *((name, MAIL_OWNER, "root", 0o700) for name in ("hold", "incoming", "private", "saved", "trace")),
    ("maildrop", MAIL_OWNER, SETGID_GROUP, 0o730),
    ("public", MAIL_OWNER, SETGID_GROUP, 0o710),
    ("pid", "root", "root", 0o755),
)


@dataclass(frozen=True, slots=True)
class Instance:
    """Where a throw-away instance lies. directory is absolute."""

    directory: Path

    @property
    def etc(self) -> Path:
        return self.directory / "etc"

    @property
    def queue(self) -> Path:
        return self.directory / "queue"

    @property
    def data(self) -> Path:
        return self.directory / "data"

    @property
    def log(self) -> Path:
        return self.directory / "log" / "mail.log"

    def base_parameters(self, relay: str) -> dict[str, str]:
        """The main.cf of a relay without DNS, before anything is attached. relay: "HOST:PORT"."""
        host, _, port = relay.rpartition(":")
        return {
            "compatibility_level": "3.6",
            "config_directory": str(self.etc),
            "queue_directory": str(self.queue),
            "data_directory": str(self.data),
            "maillog_file": str(self.log),
            "maillog_file_prefixes": f"/var, /dev/stdout, {self.directory}",
            "syslog_name": "postfix",
            "myhostname": "lab.postmask.test",
            "mydomain": "postmask.test",
            "mydestination": "",
            "local_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
            "smtpd_recipient_restrictions": "",
            "smtpd_milters": "",
            "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
            "relayhost": f"[{host.strip('[]')}]:{port}",
            "relay_domains": "",
            "smtp_dns_support_level": "disabled",
            "smtp_host_lookup": "native",
            "smtp_tls_security_level": "none",
            "smtpd_tls_security_level": "none",
            "biff": "no",
            "append_dot_mydomain": "no",
            "message_size_limit": "52428800",
            "mailbox_size_limit": "0",
            # A burst is no flood: cleanup(8) doesn't rest for a second whenever qmgr(8) is behind.
            "in_flow_delay": "0s",
            # A person who tries something out doesn't want to wait five minutes for the next try, nor one
            # after killing one of Postfix's daemons.
            "service_throttle_time": "3s",
            "queue_run_delay": "5s",
            "minimal_backoff_time": "5s",
            "maximal_backoff_time": "60s",
            "transport_retry_time": "5s",
        }

    def write(self, main_cf: Mapping[str, str], master_cf: str, smtp: int) -> None:
        """Make the folders and both configuration files. smtp: the port on loopback."""
        self._make_folders()
        lines = (f"{name} = {value}".rstrip() + "\n" for name, value in main_cf.items())
        _replace(self.etc / "main.cf", "".join(lines))
        cool(self.etc / "main.cf")
        listener = f"127.0.0.1:{smtp} inet n - n - - smtpd\n"
        _replace(self.etc / "master.cf", listener + _SERVICES + master_cf)

    def _make_folders(self) -> None:
        for folder in (self.etc, self.queue, self.data, self.log.parent):
            folder.mkdir(exist_ok=True, parents=True)
            folder.chmod(0o755)
        _own(self.data, MAIL_OWNER, "root", 0o700)
        # What postsuper says at a start after a kill -9 it writes itself, as Postfix's user.
        self.log.touch()
        _own(self.log, MAIL_OWNER, "root", 0o644)
        for name, owner, group, mode in _QUEUE_FOLDERS:
            folder = self.queue / name
            folder.mkdir(exist_ok=True)
            _own(folder, owner, group, mode)

    def command(self, verb: str) -> subprocess.Popen[str]:
        """Start `postfix -c DIR verb` and return at once; finish() takes the result."""
        return subprocess.Popen(
            ["postfix", "-c", str(self.etc), verb],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def finish(self, command: subprocess.Popen[str]) -> None:
        """Wait for a command; InstanceError when it failed."""
        try:
            output, _ = command.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            command.kill()
            command.communicate()
            raise InstanceError(f"{_shown(command)} did not end within 60 seconds") from None
        if command.returncode:
            told = f"{output.strip()}\n{processes.tail(self.log)}".strip()
            raise InstanceError(f"{_shown(command)} failed:\n{told}")

    def run(self, verb: str) -> None:
        """`postfix -c DIR verb`: start, stop."""
        self.finish(self.command(verb))

    def master_pid(self) -> int | None:
        """The pid of the running master, None when it isn't running."""
        return processes.master(self.queue)


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.chmod(0o644)
    temporary.replace(path)


def cool(path: Path) -> None:
    """Date a file that was replaced as a whole three seconds back.

    Every Postfix process that reads a main.cf changed within the last two seconds pauses until that has
    passed, lest it read half a file. After a rename there is no half file.
    """
    then = time.time() - 3.0
    os.utime(path, (then, then))


def _own(path: Path, owner: str, group: str, mode: int) -> None:
    os.chown(path, pwd.getpwnam(owner).pw_uid, grp.getgrnam(group).gr_gid)
    path.chmod(mode)


def _shown(command: subprocess.Popen[str]) -> str:
    arguments = command.args
    return " ".join(map(str, arguments)) if isinstance(arguments, list) else str(arguments)
