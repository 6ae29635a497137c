"""An MTA-STS policy, fetched as a sender fetches it: HTTPS, the certificate verified, no redirection.

DIAGNOSTICS
    FetchError: nobody there, another status than 200, a bad certificate, too long, or too late.

STANDARDS
    RFC 8461 §3.3; RFC 9112 (h11 does the HTTP).
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Sequence

import h11

from postmask.clock import Deadline

PATH = "/.well-known/mta-sts.txt"
_PORT = 443
_CONNECT_SECONDS = 5.0
_SECONDS = 10.0
_HEAD_LIMIT = 16_384
_BODY_LIMIT = 65_536
_OK = 200


class FetchError(Exception):
    """There is no policy to be had; the message says why."""


class Fetcher:
    """Fetches policies. context: whose certificates are trusted; by default the system's authorities."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = _PORT) -> None:
        self._context = context or ssl.create_default_context()
        self._port = port

    def fetch(self, host: str, addresses: Sequence[str], deadline: Deadline) -> bytes:
        """The policy, from the first of a host's addresses that takes the connection. Raises FetchError."""
        within = deadline.within(_SECONDS)
        try:
            with (
                self._connected(addresses, within) as plain,
                self._context.wrap_socket(plain, server_hostname=host) as connection,
            ):
                return _asked(connection, host, within)
        except ssl.SSLCertVerificationError as error:
            raise FetchError(f"its certificate is no good: {error.verify_message}") from error
        except h11.RemoteProtocolError as error:
            raise FetchError("it doesn't talk HTTP") from error
        except OSError as error:
            raise FetchError(error.strerror or str(error) or type(error).__name__) from error

    def _connected(self, addresses: Sequence[str], deadline: Deadline) -> socket.socket:
        fault: OSError = TimeoutError("no time was left")
        for address in addresses:
            seconds = deadline.at_most(_CONNECT_SECONDS)
            if seconds <= 0:
                break
            try:
                return socket.create_connection((address, self._port), seconds)
            except OSError as error:
                fault = error
        raise fault


def _asked(connection: ssl.SSLSocket, host: str, deadline: Deadline) -> bytes:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEAD_LIMIT)
    fields = [("Host", host), ("Connection", "close")]
    request = http.send(h11.Request(method="GET", target=PATH, headers=fields))
    assert request is not None
    connection.sendall(request)
    http.send(h11.EndOfMessage())
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(_received(connection, deadline))
        elif isinstance(event, h11.Response) and event.status_code != _OK:
            raise FetchError(f"it answers with status {event.status_code}")
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _BODY_LIMIT:
                raise FetchError("it is too long")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)


def _received(connection: ssl.SSLSocket, deadline: Deadline) -> bytes:
    """Each wait ends at the deadline: octets that drip in don't buy time."""
    left = deadline.left()
    if left <= 0:
        raise TimeoutError("it is too slow")
    connection.settimeout(left)
    return connection.recv(_BODY_LIMIT)
