"""The file of master secrets: read, made, rotated.

Text, one secret a line: "id created base64", and "waits" behind it where it doesn't sign yet; "#" begins a
comment. The last secret is the newest. The file belongs to root or to the user that the program runs as;
its group may read it, others have no access. systemd's credentials meet that as they are.

DIAGNOSTICS
    KeyFileError names the file, what is wrong with it (missing, owner, mode, damaged line) and how
    to mend it. It never quotes the content.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import datetime
import glob
import os
import pwd
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from postmask.clock import Clock
from postmask.disk import locked, sync_folder
from postmask.keys.keyring import HIGHEST_ID, SECRET_LENGTH, Keyring, Secret

_FILE_LIMIT = 65_536

_WAITING = re.compile(r"^(\s*\d+\s+\S+\s+\S+)[ \t]+waits\b", re.MULTILINE)

_DRAFT_MARK = "[0-9a-f]" * 12

_TOO_OPEN = 0o037
"""Mode bits that may not be set: the group may read, others may do nothing."""

_HEADING = """\
# Postmask's master secrets, one a line: id, date, secret. The last one that doesn't wait signs, all verify.
# Whoever has this file can forge reverse aliases and bounce addresses and read the DKIM keys.
# Back it up apart from the database, and never remove a line that addresses in use were made with.
"""


class KeyFileError(Exception):
    """The file of secrets can't be used; the message says why and how to mend it."""


def load(path: Path) -> Keyring:
    """The keyring in the file. Raises KeyFileError."""
    return Keyring(_secrets(path, _read(path)[0]))


def init(path: Path, clock: Clock) -> Keyring:
    """A new file (mode 0600) with one secret. Raises KeyFileError; a file that exists is never touched."""
    secret = _new_secret(1, clock)
    draft = _write_draft(path, _HEADING + _format(secret))
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        raise KeyFileError(f"{path}: exists already; to add a secret: postmask keys rotate") from None
    except OSError as error:
        raise KeyFileError(f"{path}: can't be made: {error.strerror}") from None
    finally:
        draft.unlink(missing_ok=True)
    sync_folder(path.parent)
    return Keyring([secret])


def rotate(path: Path, clock: Clock) -> Keyring:
    """Add a secret, which waits. Raises KeyFileError, also where one waits already."""
    with _alone(path) as file:
        text, status = _read(file)
        held = _secrets(file, text)
        if waiting := [secret.id for secret in held if secret.waits]:
            raise KeyFileError(
                f"{file}: secret {waiting[0]} waits already; next: postmask keys rotate --sign"
            )
        secret = _new_secret(_free_id(file, held), clock, waits=True)
        _replace(file, f"{text.rstrip()}\n{_format(secret)}", status)
    return Keyring([*held, secret])


def sign(path: Path) -> Keyring:
    """Let the secret that waits sign from now on. Raises KeyFileError, also where none waits."""
    with _alone(path) as file:
        text, status = _read(file)
        if not any(secret.waits for secret in _secrets(file, text)):
            raise KeyFileError(f"{file}: no secret waits to sign; add one first: postmask keys rotate")
        text = _WAITING.sub(r"\1", text)
        _replace(file, text, status)
    return Keyring(_secrets(file, text))


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """The file, which a link may lead to, with nobody else changing it.

    What one left that was killed at that, or at making it, is removed: it holds secrets.
    Raises KeyFileError.
    """
    file = Path(os.path.realpath(path))
    with contextlib.ExitStack() as lasting:
        try:
            lasting.enter_context(locked(file.parent))
            for draft in file.parent.glob(f".{glob.escape(file.name)}.{_DRAFT_MARK}"):
                draft.unlink()
        except OSError as error:
            raise KeyFileError(f"{file}: can't be written: {error.strerror} ({file.parent})") from None
        yield file


def _replace(file: Path, text: str, status: os.stat_result) -> None:
    """Put the text in place of the file, whose owner, group and mode stay.

    At once and whole: whoever reads meanwhile sees the old or the new one. Raises KeyFileError.
    """
    draft = _write_draft(file, text)
    try:
        os.chown(draft, status.st_uid, status.st_gid)
        draft.chmod(stat.S_IMODE(status.st_mode))
        draft.replace(file)
    except OSError as error:
        draft.unlink()
        raise KeyFileError(
            f"{file}: can't be replaced: {error.strerror}; run it as the file's owner"
        ) from None
    sync_folder(file.parent)


def _read(path: Path) -> tuple[str, os.stat_result]:
    """The file's text, after its owner and mode have been found right."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise KeyFileError(
            f"{path}: no such file; put it back from its backup, or another node's; only if there never was "
            "one: postmask keys init"
        ) from None
    except PermissionError:
        raise KeyFileError(
            f"{path}: {_user_name(os.geteuid())} may not read it; add that user to the file's group, "
            "or start the program with systemd's LoadCredential"
        ) from None
    except OSError as error:
        raise KeyFileError(f"{path}: can't be opened: {error.strerror}") from None
    try:
        status = os.fstat(descriptor)
        _check_access(path, status)
        content = os.read(descriptor, _FILE_LIMIT + 1)
    finally:
        os.close(descriptor)
    if len(content) > _FILE_LIMIT or not content.isascii():
        raise KeyFileError(f"{path}: is no file of secrets; restore it from the backup")
    return content.decode("ascii"), status


def _check_access(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise KeyFileError(f"{path}: is not a plain file; name the file of secrets (keys.file)")
    if status.st_uid not in {0, os.geteuid()}:
        raise KeyFileError(
            f"{path}: belongs to {_user_name(status.st_uid)}, who could change the secrets; "
            f"chown root {quote(str(path))}"
        )
    if status.st_mode & _TOO_OPEN:
        mode = stat.S_IMODE(status.st_mode)
        raise KeyFileError(
            f"{path}: mode {mode:04o} lets others at the secrets; chmod 0640 {quote(str(path))}"
        )


def _secrets(path: Path, text: str) -> list[Secret]:
    """Oldest first, at least one."""
    found: list[Secret] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        secret = _parse(words)
        if secret is None:
            raise KeyFileError(
                f"{path}: line {number} is damaged (expected: id from 1 to {HIGHEST_ID}, date, "
                f"{SECRET_LENGTH} octets in base64); restore the file from the backup"
            )
        if any(secret.id == other.id for other in found):
            raise KeyFileError(f"{path}: line {number} has an id that an earlier line has; restore the file")
        found.append(secret)
    if all(secret.waits for secret in found):
        raise KeyFileError(
            f"{path}: there is no secret in it that signs; restore it from the backup, or, if there never "
            "was one, remove it and run: postmask keys init"
        )
    return found


def _parse(words: list[str]) -> Secret | None:
    """A line's secret, None if it is damaged in any way."""
    try:
        number, created, encoded, *waits = words
        datetime.date.fromisoformat(created)
        if waits not in ([], ["waits"]):
            return None
        return Secret(int(number), created, base64.b64decode(encoded, validate=True), bool(waits))
    except (ValueError, binascii.Error):
        return None


def _format(secret: Secret) -> str:
    encoded = base64.b64encode(secret.material).decode("ascii")
    return f"{secret.id} {secret.created} {encoded}{' waits' if secret.waits else ''}\n"


def _new_secret(secret_id: int, clock: Clock, *, waits: bool = False) -> Secret:
    created = datetime.datetime.fromtimestamp(clock.now(), datetime.UTC).date().isoformat()
    return Secret(secret_id, created, secrets.token_bytes(SECRET_LENGTH), waits)


def _free_id(path: Path, held: list[Secret]) -> int:
    """The id after the newest one's; after 15 comes 1 again, as far as it is free."""
    taken = {secret.id for secret in held}
    for step in range(HIGHEST_ID):
        candidate = (held[-1].id + step) % HIGHEST_ID + 1
        if candidate not in taken:
            return candidate
    raise KeyFileError(
        f"{path}: holds {HIGHEST_ID} secrets, and bounce addresses can't tell more apart; remove the "
        "oldest line first (reverse aliases made with it are refused from then on)"
    )


def _write_draft(path: Path, text: str) -> Path:
    """The text in a file beside the path, mode 0600, on the disk. The caller renames or removes it."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise KeyFileError(f"{path}: can't be written: {error.strerror} ({path.parent})") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        draft.unlink()
        raise KeyFileError(f"{path}: can't be written: {error.strerror}") from None
    return draft


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
