"""The limit: an LMTP daemon that does nothing but hand each message back to Postfix.

    python reinjector.py SOCKET REINJECT

It takes messages on SOCKET and gives each one, as it came, to the smtpd on REINJECT over connections
that are kept. No look-up, no rewriting, no signature, no ledger, no check of anything: whatever a
rewriting forwarder adds to this is its own price. A fault ends it; it is fit for measuring and for
nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

END = b"\r\n.\r\n"
SENDER = b"bounce@limit.test"
RECIPIENT = b"mailbox@real.test"
MESSAGES = 90
"""Messages a kept connection carries, as many as the forwarder's."""


class Smtp(asyncio.Protocol):
    """One connection to the re-injection listener: a message at a time."""

    def __init__(self) -> None:
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.carried = 0
        self._input = b""
        self._replies = 0
        self._content = b""
        self._done: Callable[[bytes], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def submit(self, content: bytes, done: Callable[[bytes], None]) -> None:
        """content: as LMTP brought it, dots doubled, with the final dot. done: gets the answer."""
        self._content, self._done, self._replies = content, done, 0
        self.carried += 1
        self._transport.write(b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n" % (SENDER, RECIPIENT))

    def quit(self) -> None:
        self._transport.write(b"QUIT\r\n")

    def data_received(self, data: bytes) -> None:
        self._input += data
        *lines, self._input = self._input.split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._reply(line)

    def _reply(self, line: bytes) -> None:
        if not line.startswith((b"2", b"354")):
            raise SystemExit(f"re-injection was refused: {line.decode()}")
        self._replies += 1
        if self._done is None:
            if self._replies == 1:
                self._transport.write(b"EHLO limit.test\r\n")
            else:
                self.ready.set_result(None)
        elif self._replies == 3:
            self._transport.write(self._content)
        elif self._replies == 4:
            self._done(line)


class Pool:
    """Kept connections."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._idle: list[Smtp] = []
        self._opening: set[asyncio.Task[None]] = set()

    def submit(self, content: bytes, done: Callable[[bytes], None]) -> None:
        if self._idle:
            self._give(self._idle.pop(), content, done)
            return
        task = asyncio.get_running_loop().create_task(self._open(content, done))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, content: bytes, done: Callable[[bytes], None]) -> None:
        _, connection = await asyncio.get_running_loop().create_unix_connection(Smtp, self._socket)
        await connection.ready
        self._give(connection, content, done)

    def _give(self, connection: Smtp, content: bytes, done: Callable[[bytes], None]) -> None:
        def finished(line: bytes) -> None:
            if connection.carried < MESSAGES:
                self._idle.append(connection)
            else:
                connection.quit()
            done(line)

        connection.submit(content, finished)


class Lmtp(asyncio.Protocol):
    """One connection from lmtp(8)."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._input = bytearray()
        self._recipients = 0
        self._in_content = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(b"220 limit.test LMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._input += data
        self._go_on()

    def _go_on(self) -> None:
        """Commands, until the content; then that, and what was sent behind it after its answer."""
        while not self._in_content and (end := self._input.find(b"\r\n")) >= 0:
            line = bytes(self._input[:end])
            del self._input[: end + 2]
            self._command(line)
        if self._in_content and (end := self._input.find(END)) >= 0:
            content = bytes(self._input[: end + len(END)])
            del self._input[: end + len(END)]
            self._pool.submit(content, self._answer)

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"LHLO":
            self._transport.write(b"250-limit.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n")
        elif verb == b"DATA":
            self._in_content = True
            self._transport.write(b"354 go on\r\n")
        elif verb == b"QUIT":
            self._transport.write(b"221 bye\r\n")
            self._transport.close()
        else:
            self._recipients = self._recipients + 1 if verb == b"RCPT" else 0
            self._transport.write(b"250 2.0.0 Ok\r\n")

    def _answer(self, line: bytes) -> None:
        self._transport.write((line + b"\r\n") * self._recipients)
        self._in_content = False
        self._go_on()


async def serve(socket: str, reinject: str) -> None:
    """Until cancelled."""
    loop = asyncio.get_running_loop()
    pool = Pool(reinject)
    with contextlib.suppress(FileNotFoundError):
        Path(socket).unlink()
    server = await loop.create_unix_server(lambda: Lmtp(pool), socket, backlog=512)
    os.chmod(socket, 0o666)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
