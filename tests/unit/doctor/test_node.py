"""What the doctor looks at besides what `postmask status` does: secrets, and what other users can reach."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from postmask import tokens
from postmask.auth.dkim.keys import Algorithm, generate_key
from postmask.auth.dkim.storage import seal_key
from postmask.cli.doctor import access
from postmask.cli.runtime import Runtime
from postmask.clock import ManualClock
from postmask.directory.records import DkimKey
from postmask.doctor import node as codes
from postmask.doctor import secrets
from postmask.doctor.finding import Finding
from postmask.doctor.secrets import Made
from postmask.keys import Keyring, Secret

OURS = Keyring([Secret(1, "2026-01-01", b"a" * 32)])
OTHER = Keyring([Secret(1, "2026-01-01", b"b" * 32)])


def made(keys: Keyring) -> Made:
    sealed = seal_key(keys, "alias.test", "pm1", generate_key(Algorithm.ED25519))
    reverse = tokens.reverse_token(keys, 7, "bob@example.com")
    return Made([reverse], [DkimKey("alias.test", "pm1", "ed25519", sealed)])


def places(findings: Iterator[Finding]) -> list[tuple[str, str]]:
    return [(finding.code.id, finding.where) for finding in findings]


def test_what_our_secrets_made_holds() -> None:
    assert places(secrets.lint(OURS, made(OURS))) == []


def test_what_other_secrets_made_is_found() -> None:
    code = codes.SECRETS.id
    assert places(secrets.lint(OURS, made(OTHER))) == [
        (code, "pm1._domainkey.alias.test"),
        (code, "reverse aliases"),
    ]


@pytest.fixture
def runtime() -> Iterator[Runtime]:
    """Sockets in a folder that every user can reach, the gate listening; nobody is all the users."""
    with (
        tempfile.TemporaryDirectory(prefix="postmask-") as name,
        socket.socket(socket.AF_UNIX) as gate,
    ):
        folder = Path(name)
        for part in (folder, folder / "sockets", folder / "client"):
            part.mkdir(exist_ok=True)
            part.chmod(0o755)
        gate.bind(f"{folder}/sockets/gate.sock")
        gate.listen(8)
        (folder / "sockets/gate.sock").chmod(0o666)
        (folder / "client/postmask_pipe.py").write_text("")
        file = folder / "postmask.toml"
        file.write_text(
            f'[sockets]\ndirectory = "{folder}/sockets"\n'
            f'[postfix]\nmail_owner = "nobody"\npipe_user = "nobody"\npipe_folder = "{folder}/client"\n'
        )
        runtime = Runtime(ManualClock())
        runtime.config_file = file
        yield runtime


def test_a_socket_that_its_user_reaches_is_passed_over(runtime: Runtime) -> None:
    assert places(access.sockets(runtime)) == []


def test_sockets_in_a_closed_folder_are_found(runtime: Runtime) -> None:
    runtime.settings.sockets.directory.chmod(0o700)
    found = list(access.sockets(runtime))
    assert {finding.where.partition(".")[0] for finding in found} == {"alias", "gate", "scan", "forwarder"}
    assert all(finding.code == codes.SOCKET_RIGHTS for finding in found)
    assert all("Permission denied" in finding.what for finding in found)


def test_users_that_there_are_not_are_no_matter_of_rights(runtime: Runtime) -> None:
    assert runtime.config_file is not None
    text = runtime.config_file.read_text()
    runtime.config_file.write_text(text.replace('"nobody"', '"postmask-no-such-user"'))
    runtime.settings.sockets.directory.chmod(0o700)
    assert places(access.sockets(runtime)) == []


def test_a_client_of_another_version_is_found(runtime: Runtime) -> None:
    assert places(access.client(runtime)) == [(codes.PIPE_CLIENT.id, "version")]


def test_a_client_that_its_user_cannot_read_is_found(runtime: Runtime) -> None:
    from postmask_postfix import client

    client.install(runtime.settings.postfix.pipe_folder)
    assert places(access.client(runtime)) == []
    runtime.settings.postfix.pipe_folder.chmod(0o700)
    assert places(access.client(runtime)) == [(codes.PIPE_CLIENT.id, "rights")]


def test_a_proc_that_hides_others_is_found(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    from postmask_postfix import client

    client.install(runtime.settings.postfix.pipe_folder)
    monkeypatch.setattr(access, "_PARENT", "open('/proc/none/stat')")
    assert places(access.client(runtime)) == [(codes.PROC.id, "/proc")]
