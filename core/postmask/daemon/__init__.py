"""What every program that runs in the background needs: its end, its sockets, its word to systemd."""

from postmask.daemon.sockets import SocketError, connect_unix, listen_unix, peer_uid
from postmask.daemon.stop import Stop
from postmask.daemon.systemd import notify

__all__ = [
    "SocketError",
    "Stop",
    "connect_unix",
    "listen_unix",
    "notify",
    "peer_uid",
]
