"""A mail sink: takes every message, keeps it as it came in a folder.

    python -m postmask_postfix.sink --listen HOST:PORT --directory FOLDER

A message becomes NNNNNN.eml, its bytes as received after dot-unstuffing, CRLF and all, and
NNNNNN.json, the envelope: from, rcpt, mail_options, helo, peer. Both appear by rename, the .eml
last, so that whoever sees the .eml can read both.

For trying out bounces three kinds of local part are special: `bounce…` is refused at RCPT (550 5.1.1),
`defer…` is put off (450 4.2.1), `full…` is refused at the end of the message (552 5.2.2).

DIAGNOSTICS
    A message that can't be written is answered 451 4.3.0. Exit 69 when the port is taken.

STANDARDS
    RFC 5321; 8BITMIME (RFC 6152), SMTPUTF8 (RFC 6531). No size limit; lines up to 16 MB.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from postmask.daemon import notify

LINE_LIMIT = 16 * 1024 * 1024
_AT_RCPT = {
    "bounce": "550 5.1.1 no such mailbox here",
    "defer": "450 4.2.1 mailbox is busy, try again later",
}
_FULL = "552 5.2.2 mailbox is full"


class _Server(SMTP):
    """The server with room for any line."""

    line_length_limit = LINE_LIMIT


class Folder:
    """Keeps messages in a folder, numbered in the order in which they came."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self._last = max((int(path.stem) for path in directory.glob("[0-9]*.eml")), default=0)

    def keep(self, content: bytes, envelope: dict[str, object]) -> int:
        """Write one message and its envelope; returns its number."""
        self._last += 1
        name = f"{self._last:06d}"
        text = json.dumps(envelope, ensure_ascii=True, indent=1) + "\n"
        self._write(f"{name}.json", text.encode("ascii"))
        self._write(f"{name}.eml", content)
        return self._last

    def _write(self, name: str, content: bytes) -> None:
        temporary = self._directory / f"{name}.tmp"
        temporary.write_bytes(content)
        temporary.replace(self._directory / name)


class _Handler:
    """What the server asks (aiosmtpd, Handlers)."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder

    async def handle_RCPT(  # noqa: N802 (the name is aiosmtpd's)
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        del server, session, options
        for prefix, answer in _AT_RCPT.items():
            if address.startswith(prefix):
                return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        del server
        if any(address.startswith("full") for address in envelope.rcpt_tos):
            return _FULL
        number = self._folder.keep(
            bytes(envelope.original_content or b""),
            {
                # aiosmtpd calls the null sender "<>".
                "from": "" if envelope.mail_from in (None, "<>") else envelope.mail_from,
                "rcpt": envelope.rcpt_tos,
                "mail_options": envelope.mail_options,
                "helo": session.host_name,
                "peer": str(session.peer),
            },
        )
        return f"250 2.0.0 kept as {number:06d}"

    async def handle_exception(self, error: Exception) -> str:
        print(f"sink: {type(error).__name__}: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return "451 4.3.0 the sink is in trouble"


async def serve(host: str, port: int, directory: Path) -> None:
    """Listen until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    handler = _Handler(Folder(directory))

    def connection() -> SMTP:
        return _Server(
            handler,
            data_size_limit=None,
            enable_SMTPUTF8=True,
            hostname="sink.postmask.test",
            timeout=600.0,
            loop=loop,
        )

    server = await loop.create_server(connection, host, port, backlog=128)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    notify("READY=1")
    await stop.wait()
    server.close()


def main() -> int:
    """Read the command line and serve; returns a sysexits(3) code."""
    parser = argparse.ArgumentParser(prog="postmask-sink", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--directory", required=True, type=Path)
    arguments = parser.parse_args()
    host, _, port = arguments.listen.rpartition(":")
    try:
        asyncio.run(serve(host, int(port), arguments.directory))
    except OSError as error:
        print(f"sink: can't listen on {arguments.listen}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return os.EX_UNAVAILABLE
    return os.EX_OK


if __name__ == "__main__":
    sys.exit(main())
