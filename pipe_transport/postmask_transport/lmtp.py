"""The forwarder's LMTP server: a thread for each connection, up to a cap, on a listening Unix socket.

Own code, because what Postfix needs here is narrow and must be exact: one reply for each
accepted recipient after the dot, XFORWARD, octets passed as they come, large messages in a
fraction of a second, and an end that finishes what is in hand.

DIAGNOSTICS
    451 4.3.0  the handler raised, gave no verdicts, or not one for each recipient.
    421 4.3.2  too many connections, or the server is stopping. Postfix tries again.
    421 4.4.2  the peer was silent for too long, or took too long over one message.
    421 4.7.0  the peer's uid isn't one of those that may talk to us.
    Protocol faults are listed in lmtp_protocol.py. No reply of the server's own carries our mark:
    only a Verdict does (postmask.verdict), so the fence lets nothing else bounce.
    Log events: lmtp.peer_refused, lmtp.too_many, lmtp.timeout, lmtp.too_large, lmtp.handler_failed,
    lmtp.connection_failed, lmtp.accept_failed, lmtp.drained.

STANDARDS
    RFC 2033 (LMTP), RFC 5321 §4.5.3.2 (time-outs), unix(7) (SO_PEERCRED).
"""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import threading

from postmask.clock import Clock
from postmask.daemon import begin, peer_uid
from postmask.log import line
from postmask_transport.lmtp_connection import Connection, Handler, Service, Stop, Times
from postmask_transport.lmtp_events import Client, Envelope, Limits

__all__ = ["Client", "Envelope", "Handler", "Limits", "Server", "Times"]

_log = logging.getLogger(__name__)

_NO_LIMITS = Limits()
_USUAL_TIMES = Times()


class Server:
    """serve() accepts until stop() is called, then finishes what is in hand."""

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        clock: Clock,
        *,
        host: str,
        allowed_uids: frozenset[int] | None,
        max_connections: int = 100,
        limits: Limits = _NO_LIMITS,
        times: Times = _USUAL_TIMES,
    ) -> None:
        """allowed_uids: who may connect; None: everybody whom the socket's mode lets in."""
        self._listener = listener
        self._allowed_uids = allowed_uids
        self._max_connections = max_connections
        self._service = Service(handler, clock, host, limits, times)
        self._stop = Stop(clock, max(times.drain, times.message))
        self._connections: list[threading.Thread] = []

    def serve(self) -> bool:
        """Until stop(). True: everything in hand was finished; False: the drain time ran out first."""
        self._listener.setblocking(False)
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        poll.register(self._stop.fd, select.POLLIN)
        while not self._stop.requested:
            poll.poll()
            if not self._stop.requested:
                self._accept()
        self._listener.close()
        for connection in self._connections:
            connection.join(self._stop.deadline.left())
        left = len(self._alive())
        line(_log, logging.INFO, "lmtp.drained", left=left)
        return left == 0

    def stop(self) -> None:
        """No more connections or messages. Any thread may call it, more than once."""
        self._stop.request()

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return
        except OSError as error:
            line(_log, logging.ERROR, "lmtp.accept_failed", error=error.strerror)
            self._stop.wait(0.2)
            return
        sock.setblocking(False)
        refusal = self._refusal(sock)
        if refusal is None:
            refusal = self._start(sock)
        if refusal is not None:
            with contextlib.suppress(OSError):
                sock.send(refusal + b"\r\n")
            sock.close()

    def _refusal(self, sock: socket.socket) -> bytes | None:
        """What a peer hears that may not talk now; None: it may."""
        uid = peer_uid(sock)
        if self._allowed_uids is not None and uid not in self._allowed_uids:
            line(_log, logging.WARNING, "lmtp.peer_refused", uid=uid)
            return b"421 4.7.0 this socket is for Postfix alone"
        self._connections = self._alive()
        if len(self._connections) < self._max_connections:
            return None
        line(_log, logging.WARNING, "lmtp.too_many", connections=self._max_connections)
        return b"421 4.3.2 too many connections, try again"

    def _start(self, sock: socket.socket) -> bytes | None:
        """Give the peer a thread of its own, or the reply that says why not."""
        run = Connection(self._service, self._stop, sock).run
        thread = threading.Thread(target=run, name="lmtp", daemon=True)
        try:
            begin(thread)
        except OSError as error:
            line(_log, logging.ERROR, "lmtp.accept_failed", error=error.strerror)
            return b"421 4.3.2 no thread left, try again"
        self._connections.append(thread)
        return None

    def _alive(self) -> list[threading.Thread]:
        """Those that lead a connection still. One that died for want of memory tells nobody that it left."""
        return [thread for thread in self._connections if thread.is_alive()]
