"""A real DNS server for tests: unbound on a free loopback port, with records that can change.

(Not called dns.py: that name is dnspython's.) Everything that isn't put into the zone is NXDOMAIN.
The fixture `nameserver` gives one for each test module that asks for it, empty at the start.

    server.txt("example.com", "v=spf1 ip4:192.0.2.1 -all")
    server.record("example.com. IN MX 10 mx.example.com.")
    server.remove("example.com")
    with server.hung(): …                      questions are swallowed
    with server.failing("example.com"): …      REFUSED for this name and all below it

Nobody may keep its answers, so that a change shows at once, unless it is made with a TTL. (Therefore none
of unbound's own zones, whose SOA has one.)
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from freezing import frozen, thaw
from ports import free_port

_STRING = 255
_CONFIG = """\
server:
    interface: {address}@{port}
    directory: "{folder}"
    username: ""
    chroot: ""
    pidfile: "{folder}/pid"
    logfile: "{folder}/log"
    use-syslog: no
    do-daemonize: no
    do-ip6: {ipv6}
    num-threads: 1
    msg-cache-size: 1m
    rrset-cache-size: 1m
    module-config: "iterator"
    do-not-query-localhost: no
    access-control: 127.0.0.0/8 allow
    access-control: ::1 allow
    access-control: 198.51.100.0/24 allow
    local-zone: "." static
    local-zone: "test." nodefault
    local-zone: "invalid." nodefault
    local-zone: "onion." nodefault
    local-zone: "localhost." nodefault
    unblock-lan-zones: yes
remote-control:
    control-enable: yes
    control-interface: {folder}/control
    control-use-cert: no
"""


class Nameserver:
    """One unbound process. Ended by close(), by its pid and nobody else's."""

    def __init__(self, host: str = "127.0.0.1", port: int | None = None, ttl: int = 0) -> None:
        """ttl: seconds for which answers may be kept, negative ones too."""
        self._host = host
        self._ttl = ttl
        self._folder = Path(tempfile.mkdtemp(prefix="dns-"))
        self._config = self._folder / "unbound.conf"
        self.port = port or free_port()
        ipv6 = "yes" if ":" in host else "no"
        self._config.write_text(_CONFIG.format(address=host, port=self.port, folder=self._folder, ipv6=ipv6))
        self._process = subprocess.Popen(
            ["/usr/sbin/unbound", "-d", "-c", str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._wait_until_ready()
            if ttl:
                self.record(f". IN SOA localhost. nobody.localhost. 1 {ttl} {ttl} {ttl} {ttl}")
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> tuple[str, int]:
        """As postmask.auth.dns.Resolver takes it."""
        return self._host, self.port

    @property
    def text(self) -> str:
        """ "127.0.0.1:PORT" or "[::1]:PORT", as `lab up --nameserver` takes it."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"{host}:{self.port}"

    def record(self, line: str) -> None:
        """Add one record, "NAME IN TYPE …"; a TXT value in double quotes, at most 255 octets each."""
        name, _, rest = line.partition(" IN ")
        self._control("local_data", f"{name} {self._ttl} IN {rest}")

    def txt(self, name: str, value: str) -> None:
        """Add a TXT record of any length, in as many strings as it needs."""
        parts = [value[start : start + _STRING] for start in range(0, len(value), _STRING)] or [""]
        self.record(f"{name}. IN TXT " + " ".join(f'"{part}"' for part in parts))

    def pointer(self, address: str, name: str) -> None:
        """Add the PTR record of an address."""
        self.record(f"{ipaddress.ip_address(address).reverse_pointer}. IN PTR {name}.")

    def remove(self, name: str) -> None:
        """Take away all records of a name: NXDOMAIN (or NODATA, with records below) from now on."""
        self._control("local_data_remove", name)

    @contextlib.contextmanager
    def hung(self) -> Iterator[None]:
        """The server takes questions and never answers."""
        with frozen(self._process.pid):
            yield

    @contextlib.contextmanager
    def failing(self, name: str) -> Iterator[None]:
        """REFUSED for a name and everything below it."""
        self._control("local_zone", f"{name}.", "always_refuse")
        try:
            yield
        finally:
            self._control("local_zone_remove", f"{name}.")

    def close(self) -> None:
        """Stop it and remove its folder."""
        if self._process.poll() is None:
            thaw(self._process.pid)
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        limit = time.monotonic() + 10
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > limit:
                log = self._folder / "log"
                raise RuntimeError(
                    "unbound does not start: " + (log.read_text() if log.exists() else "no log")
                )
            time.sleep(0.02)

    def _answers(self) -> bool:
        return (self._folder / "control").exists() and self._unbound_control("status").returncode == 0

    def _control(self, *words: str) -> None:
        told = self._unbound_control(*words)
        if told.returncode or "error" in told.stdout:
            raise ValueError(f"unbound-control {words}: {told.stdout}{told.stderr}")

    def _unbound_control(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/usr/sbin/unbound-control", "-c", str(self._config), *words],
            capture_output=True,
            text=True,
            timeout=20,
            env={"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin")},
        )


@pytest.fixture(scope="module")
def nameserver() -> Iterator[Nameserver]:
    """A DNS server without records, one for each test module."""
    server = Nameserver()
    try:
        yield server
    finally:
        server.close()
