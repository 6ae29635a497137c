"""The file of secrets: made, rotated, and every way in which it can be wrong."""

from __future__ import annotations

import base64
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postmask import disk, keys
from postmask.clock import ManualClock
from postmask.keys import KeyFileError, Purpose

CLOCK = ManualClock(at=1_767_225_600.0)  # 2026-01-01
NOBODY = 65534

A_SECRET = base64.b64encode(b"a" * 32).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys"


def write(file: Path, text: str | bytes, mode: int = 0o600) -> None:
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    file.chmod(mode)


def refusal(file: Path) -> str:
    with pytest.raises(KeyFileError) as caught:
        keys.load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert A_SECRET not in message
    return message.removeprefix(f"{file}: ")


def test_init_makes_a_private_file_that_loads(file: Path) -> None:
    made = keys.init(file, CLOCK)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    loaded = keys.load(file)
    assert loaded.secrets == made.secrets
    assert (loaded.signing.id, loaded.signing.created) == (1, "2026-01-01")
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


def test_init_touches_nothing_that_exists(file: Path) -> None:
    write(file, "precious")
    with pytest.raises(KeyFileError, match="exists already; to add a secret: postmask keys rotate"):
        keys.init(file, CLOCK)
    assert file.read_text() == "precious"
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


def test_a_link_stays_one(file: Path) -> None:
    """Else the new secret lies where the old one wasn't to lie, and isn't backed up with it."""
    elsewhere = file.parent / "vault/keys"
    elsewhere.parent.mkdir()
    keys.init(elsewhere, CLOCK)
    file.symlink_to(elsewhere)
    keys.rotate(file, CLOCK)
    assert keys.sign(file).signing.id == keys.load(elsewhere).signing.id == 2
    assert file.is_symlink()
    assert sorted(path.name for path in file.parent.rglob("*")) == ["keys", "keys", "vault"]


def test_init_without_folder(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="can't be written: No such file or directory"):
        keys.init(tmp_path / "none" / "keys", CLOCK)


def rotate(file: Path) -> keys.Keyring:
    """Both steps."""
    keys.rotate(file, CLOCK)
    return keys.sign(file)


def test_rotation_adds_and_keeps(file: Path) -> None:
    before = keys.init(file, CLOCK)
    file.write_text(file.read_text() + "# a remark of the operator\n")
    file.chmod(0o640)
    added = keys.rotate(file, CLOCK)
    assert [(secret.id, secret.waits) for secret in added.secrets] == [(1, False), (2, True)]
    assert keys.load(file).secrets == added.secrets
    after = keys.sign(file)
    assert [(secret.id, secret.waits) for secret in after.secrets] == [(2, False), (1, False)]
    assert keys.load(file).secrets == after.secrets
    assert added.check(Purpose.TOKEN, b"x", after.mac(Purpose.TOKEN, b"x", 10))
    assert after.check(Purpose.TOKEN, b"x", before.mac(Purpose.TOKEN, b"x", 10))
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert "# a remark of the operator\n" in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == ["keys"]


def test_rotation_keeps_the_group(file: Path) -> None:
    keys.init(file, CLOCK)
    os.chown(file, 0, NOBODY)
    rotate(file)
    assert file.stat().st_gid == NOBODY


def test_rotation_goes_step_by_step(file: Path) -> None:
    keys.init(file, CLOCK)
    with pytest.raises(KeyFileError, match="no secret waits to sign; add one first: postmask keys rotate"):
        keys.sign(file)
    keys.rotate(file, CLOCK)
    with pytest.raises(KeyFileError, match="secret 2 waits already; next: postmask keys rotate --sign"):
        keys.rotate(file, CLOCK)
    assert keys.sign(file).signing.id == 2


@pytest.mark.parametrize("verb", ["init", "rotate", "rotate behind a link"])
def test_what_one_left_that_was_killed_is_removed_by_the_next_rotation(file: Path, verb: str) -> None:
    """It holds secrets."""
    verb, _, linked = verb.partition(" ")
    given = file
    if verb == "rotate":
        keys.init(file, CLOCK)
    if linked:
        (file.parent / "etc").mkdir()
        given = file.parent / "etc" / "secrets"
        given.symlink_to(file)
    (file.parent / ".keys.other").touch()
    program = f"""
import os, signal
from pathlib import Path
from postmask import keys
from postmask.clock import SystemClock
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
keys.{verb}(Path({str(given)!r}), SystemClock())
"""
    assert subprocess.run([sys.executable, "-c", program]).returncode == -signal.SIGKILL
    left = [path for path in file.parent.iterdir() if path.name.startswith(".keys.")]
    assert len(left) == 2
    if verb == "init":
        keys.init(file, CLOCK)
    keys.rotate(given, CLOCK)
    assert sorted(path.name for path in file.parent.iterdir() if path.is_file()) == [".keys.other", "keys"]


def test_two_rotations_at_once_are_one(file: Path) -> None:
    keys.init(file, CLOCK)
    barrier = threading.Barrier(4)
    refused: list[str] = []

    def rotate_too() -> None:
        barrier.wait()
        try:
            keys.rotate(file, CLOCK)
        except KeyFileError as error:
            refused.append(str(error))

    threads = [threading.Thread(target=rotate_too) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 3
    assert all("secret 2 waits already" in one for one in refused)
    assert len(keys.load(file).secrets) == 2


def test_a_folder_that_somebody_keeps_locked(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys.init(file, CLOCK)
    monkeypatch.setattr("postmask.disk._LOCK_SECONDS", 0.2)
    with disk.locked(file.parent), pytest.raises(KeyFileError, match="another process has locked it"):
        keys.rotate(file, CLOCK)


def test_a_freed_id_is_not_used_while_there_are_newer_ones(file: Path) -> None:
    """What was made with it would be taken for forged."""
    keys.init(file, CLOCK)
    for _ in range(2):
        rotate(file)
    lines = [line for line in file.read_text().splitlines() if not line.startswith("2 ")]
    file.write_text("\n".join(lines))
    assert rotate(file).signing.id == 4


def test_rotation_ends_at_fifteen_and_uses_freed_ids(file: Path) -> None:
    keys.init(file, CLOCK)
    for _ in range(14):
        rotate(file)
    with pytest.raises(KeyFileError, match="holds 15 secrets"):
        keys.rotate(file, CLOCK)
    lines = [line for line in file.read_text().splitlines() if not line.startswith(("1 ", "2 "))]
    file.write_text("\n".join(lines))
    assert rotate(file).signing.id == 1
    assert rotate(file).signing.id == 2
    assert keys.load(file).signing.id == 2


def test_missing(file: Path) -> None:
    assert refusal(file).startswith("no such file; put it back from its backup, or another node's; only if")


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o666, 0o601, 0o650])
def test_too_open(file: Path, mode: int) -> None:
    write(file, f"1 2026-01-01 {A_SECRET}\n", mode)
    assert refusal(file) == f"mode {mode:04o} lets others at the secrets; chmod 0640 {file}"


@pytest.mark.parametrize("mode", [0o400, 0o440, 0o600, 0o640])
def test_private_enough(file: Path, mode: int) -> None:
    write(file, f"1 2026-01-01 {A_SECRET}\n", mode)
    assert keys.load(file).signing.material == b"a" * 32


def test_somebody_elses(file: Path) -> None:
    write(file, f"1 2026-01-01 {A_SECRET}\n")
    os.chown(file, NOBODY, NOBODY)
    assert refusal(file) == f"belongs to nobody, who could change the secrets; chown root {file}"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_no_plain_file(file: Path, make: object) -> None:
    assert callable(make)
    make(file)
    assert "is not a plain file" in refusal(file)


@pytest.mark.parametrize(
    "line",
    [
        "1",
        "1 2026-01-01",
        f"0 2026-01-01 {A_SECRET}",
        f"16 2026-01-01 {A_SECRET}",
        f"one 2026-01-01 {A_SECRET}",
        f"1 2026-13-01 {A_SECRET}",
        f"1 yesterday {A_SECRET}",
        f"1 2026-01-01 {A_SECRET[:-4]}",
        f"1 2026-01-01 {A_SECRET}AAAA",
        f"1 2026-01-01 {A_SECRET[:-5]}*{A_SECRET[-4:]}",
        f"1 2026-01-01 {A_SECRET} more",
        f"1 2026-01-01 {A_SECRET} waits more",
    ],
)
def test_damaged_line(file: Path, line: str) -> None:
    write(file, f"# heading\n2 2026-01-01 {A_SECRET}\n{line}\n")
    assert refusal(file).startswith(
        "line 3 is damaged (expected: id from 1 to 15, date, 32 octets in base64)"
    )


def test_two_of_one_id(file: Path) -> None:
    write(file, f"1 2026-01-01 {A_SECRET}\n1 2026-01-01 {A_SECRET}\n")
    assert "line 2 has an id that an earlier line has" in refusal(file)


@pytest.mark.parametrize("text", ["", "\n\n", "# only remarks\n", f"1 2026-01-01 {A_SECRET} waits\n"])
def test_no_secret(file: Path, text: str) -> None:
    write(file, text)
    assert refusal(file).startswith("there is no secret in it")


@pytest.mark.parametrize("content", [b"\xff\xfe", b"1" * 100_000])
def test_something_else_altogether(file: Path, content: bytes) -> None:
    write(file, content)
    assert refusal(file) == "is no file of secrets; restore it from the backup"


@given(
    st.binary(max_size=300)
    | st.lists(
        st.sampled_from(["1", "2", "2026-01-01", A_SECRET, " waits", " ", "\n", "#"]), max_size=20
    ).map(lambda words: "".join(words).encode())
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_content_is_a_keyring_or_an_error(file: Path, content: bytes) -> None:
    write(file, content)
    try:
        loaded = keys.load(file)
    except KeyFileError as error:
        problem = str(error)
    else:
        problem = f"{file}: "
        assert all(secret.material == b"a" * 32 for secret in loaded.secrets)
    assert problem.startswith(f"{file}: ")
