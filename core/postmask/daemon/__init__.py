"""What every program that runs in the background needs: its end, sockets, threads, its word to systemd."""

from postmask.daemon.sockets import SocketError, connect_unix, listen_unix, peer_uid
from postmask.daemon.stop import Stop
from postmask.daemon.systemd import notify
from postmask.daemon.threads import begin, lasting

__all__ = [
    "SocketError",
    "Stop",
    "begin",
    "connect_unix",
    "lasting",
    "listen_unix",
    "notify",
    "peer_uid",
]
