"""Hosts with a systemd of their own, booted from a root tree, in a network namespace.

    with booted(tree("bookworm"), wire, "mx", nameserver="198.51.100.3") as host:
        host.run("systemctl", "is-system-running")
        host.path("etc/hostname").read_text()

The tree isn't changed: what the host writes lies on top of it and is gone at the end. sshd takes the key
in `host.key`, for root. Needs root and systemd-nspawn; a systemd of this machine isn't needed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from network import Network

_HIERARCHIES = ("systemd", "unified")
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Host:
    """A booted host. pid: of its systemd, as seen from here. root: its files."""

    name: str
    address: str
    pid: int
    root: Path
    key: Path

    def path(self, name: str) -> Path:
        """Where a file of the host lies."""
        return self.root / name

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command on the host, as root."""
        done = subprocess.run(
            [
                "nsenter",
                "--target",
                str(self.pid),
                "--all",
                "--root",
                "--wdns=/",
                "env",
                "-i",
                _PATH,
                *command,
            ],
            capture_output=True,
            text=True,
        )
        if check:
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def succeeds(self, *command: str) -> bool:
        return self.run(*command, check=False).returncode == 0


_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@contextlib.contextmanager
def booted(tree: Path, wire: Network, name: str, nameserver: str) -> Iterator[Host]:
    """The host of this name on the wire, up and with sshd answering."""
    with contextlib.ExitStack() as ends:
        folder = Path(tempfile.mkdtemp(prefix="booted-"))
        ends.callback(shutil.rmtree, folder, ignore_errors=True)
        root = _overlay(tree, folder, ends)
        key = _prepare(root, folder, name, nameserver)
        groups = list(_groups(f"{wire.prefix}-{name}"))
        for group in groups:
            ends.callback(_remove_group, group)
        starting = subprocess.Popen(
            [
                *("systemd-nspawn", *_OPTIONS, f"--hostname={name.partition('.')[0]}"),
                f"--network-namespace-path=/run/netns/{wire.prefix}-{name}",
                *("-D", str(root), "-M", f"{wire.prefix}-{name}"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=(folder / "console").open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _join(groups),
        )
        ends.callback(_power_off, starting)
        host = Host(name, wire.address(name), _leader(starting, folder / "console"), root, key)
        _await(host, "systemctl", "is-system-running", "--wait")
        _await(host, "systemctl", "is-active", "ssh.service")
        yield host


_OPTIONS = (
    *("--quiet", "--register=no", "--keep-unit", "--boot", "--console=pipe", "--link-journal=no"),
    "--resolv-conf=off",
)


def _overlay(tree: Path, folder: Path, ends: contextlib.ExitStack) -> Path:
    for part in ("upper", "work", "root"):
        (folder / part).mkdir()
    (folder / "root").chmod(0o755)
    (folder / "upper").chmod(0o755)
    layers = f"lowerdir={tree},upperdir={folder}/upper,workdir={folder}/work"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, str(folder / "root")], check=True)
    ends.callback(subprocess.run, ["umount", "--lazy", str(folder / "root")], check=True)
    return folder / "root"


def _prepare(root: Path, folder: Path, name: str, nameserver: str) -> Path:
    """Name, name server and the key; returns the private one."""
    short = name.partition(".")[0]
    (root / "etc/machine-id").write_text("")
    (root / "etc/hostname").write_text(f"{short}\n")
    (root / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name} {short}\n")
    (root / "etc/resolv.conf").write_text(f"nameserver {nameserver}\n")
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (root / "root/.ssh").mkdir(mode=0o700, exist_ok=True)
    (root / "root/.ssh/authorized_keys").write_text(key.with_suffix(".pub").read_text())
    # Lists that are older than a day would be fetched anew.
    os.utime(root / "var/lib/apt/lists")
    return key


def _groups(name: str) -> Iterator[Path]:
    """A control group of its own in each hierarchy that systemd uses, or two hosts would share one."""
    for hierarchy in _HIERARCHIES:
        base = Path("/sys/fs/cgroup", hierarchy)
        if base.is_dir():
            (base / name).mkdir(exist_ok=True)
            yield base / name


def _join(groups: list[Path]) -> None:
    for group in groups:
        (group / "cgroup.procs").write_text(str(os.getpid()))


def _remove_group(group: Path) -> None:
    for folder in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
        with contextlib.suppress(OSError):
            folder.rmdir()
    with contextlib.suppress(OSError):
        group.rmdir()


def _leader(starting: subprocess.Popen[bytes], console: Path) -> int:
    """The pid of the host's systemd: the child of systemd-nspawn."""
    limit = time.monotonic() + _PATIENCE
    children = Path(f"/proc/{starting.pid}/task/{starting.pid}/children")
    while time.monotonic() < limit:
        assert starting.poll() is None, console.read_text(errors="replace")
        for pid in children.read_text().split():
            bus = ["nsenter", "--target", pid, "--all", "--root", "test", "-S", "/run/dbus/system_bus_socket"]
            if subprocess.run(bus, capture_output=True).returncode == 0:
                return int(pid)
        time.sleep(0.1)
    raise AssertionError(f"the host didn't boot: {console.read_text(errors='replace')}")


def _await(host: Host, *command: str) -> None:
    limit = time.monotonic() + _PATIENCE
    while not host.succeeds(*command):
        assert time.monotonic() < limit, host.run("systemctl", "--failed", check=False).stdout
        time.sleep(0.2)


def _power_off(starting: subprocess.Popen[bytes]) -> None:
    """As if by the power button, then by force."""
    children = Path(f"/proc/{starting.pid}/task/{starting.pid}/children")
    with contextlib.suppress(OSError, ProcessLookupError):
        for pid in children.read_text().split():
            os.kill(int(pid), signal.SIGRTMIN + 4)
    try:
        starting.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        starting.kill()
        starting.wait()
