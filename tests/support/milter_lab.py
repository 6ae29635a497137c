"""A throw-away Postfix with gate and alias milter attached, and the program behind them.

Three listeners: both attached, gate only, milter only. Whatever is accepted is discarded.
"""

import os
import signal
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from ports import free_port
from postmask_postfix import domains, render
from postmask_postfix.instance import Instance
from postmask_postfix.lab.readiness import Notified
from postmask_postfix.settings import SettingsContext

PROGRAM = Path(__file__).with_name("milter_program.py")
DOMAIN = "alias.test"
LISTENERS = ("both", "gate", "milter")


def wait_for(condition: Callable[[], object], seconds: float = 30.0) -> None:
    """Until the condition holds; the test fails if it never does."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


class MilterLab:
    """The instance, and the program's comings and goings."""

    def __init__(self, folder: Path) -> None:
        self.instance = Instance(folder)
        self.ports = {name: free_port() for name in LISTENERS}
        self.sockets = self.instance.queue / "postmask"
        self.program: subprocess.Popen[bytes] | None = None
        self.program_log = folder / "program.log"

    def up(self) -> None:
        """Postfix runs; the program doesn't yet."""
        context = SettingsContext(door="lmtp", pipe_argv=("/bin/false",))
        base = self.instance.base_parameters("127.0.0.1:9")
        ours = render.main_cf(context, base) | domains.parameters(domains.alternations([DOMAIN]))
        quiet = {
            "transport_maps": "",
            "relay_transport": "discard",
            "default_transport": "discard",
            "non_smtpd_milters": "$smtpd_milters",
            "smtpd_delay_reject": "yes",
        }
        listeners = (
            f"127.0.0.1:{self.ports['gate']} inet n - n - - smtpd -o smtpd_milters=\n"
            f"127.0.0.1:{self.ports['milter']} inet n - n - - smtpd -o smtpd_recipient_restrictions=\n"
        )
        self.instance.write(base | ours | quiet, listeners, self.ports["both"])
        self.sockets.mkdir(exist_ok=True)
        self.sockets.chmod(0o755)
        self.instance.run("start")

    def down(self) -> None:
        """Everything ends."""
        self.kill()
        self.instance.run("stop")

    def start(self, program: Iterable[str] = ()) -> subprocess.Popen[bytes]:
        """Start the program and wait until systemd would be told that it is ready."""
        for left in ("go", "waiting", "refusals"):
            (self.sockets / left).unlink(missing_ok=True)
        environment = dict(os.environ, PYTHONPATH=str(PROGRAM.parent))
        with Notified() as notified, self.program_log.open("ab") as log:
            environment["NOTIFY_SOCKET"] = notified.address
            command = list(program) or [sys.executable, str(PROGRAM), str(self.sockets)]
            started = subprocess.Popen(command, env=environment, stderr=log)
            self.program = started
            wait_for(lambda: notified.check() or started.poll() is not None)
            assert notified.ready, self.log()
        return started

    def kill(self) -> None:
        """End the program at once, frozen or not."""
        if self.program is not None and self.program.poll() is None:
            self.program.send_signal(signal.SIGKILL)
            self.program.wait()

    def log(self) -> str:
        return self.program_log.read_text()

    def smtp(self, listener: str = "both") -> smtplib.SMTP:
        """A session that has said EHLO."""
        client = smtplib.SMTP("127.0.0.1", self.ports[listener], timeout=30)
        client.ehlo("client.test")
        return client

    def sendmail(self, sender: str, *recipients: str) -> subprocess.CompletedProcess[bytes]:
        """Local submission."""
        return subprocess.run(
            ["sendmail", "-C", str(self.instance.etc), "-i", "-f", sender, *recipients],
            input=b"Subject: hello\n\nhello\n",
            capture_output=True,
            timeout=30,
        )

    def postfix_log(self) -> str:
        return self.instance.log.read_text(errors="replace")
