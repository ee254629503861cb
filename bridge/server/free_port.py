"""Find a TCP port for a server that must get the same one again after a crash.

The port is below the usual ranges of ephemeral ports: no outgoing connection can take it between a
kill and a restart, least of all a client that reconnects to it and would meet itself. Letting the
kernel choose was refused for that reason.
"""

import secrets
import socket
from typing import Final

from bridge.server.errors import PortInUseError

_PORTS: Final = range(15000, 32000)
_MAX_ATTEMPTS: Final = 20


def pick_free_port(host: str) -> int:
    """Return a port of ``host`` that nobody listens on now; somebody may the next moment.

    Raises:
        PortInUseError: None of a number of ports tried is free.
    """
    for _ in range(_MAX_ATTEMPTS):
        port = secrets.choice(_PORTS)
        with socket.socket() as probe:
            # As servers do; without it a port with closing connections looks taken.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise PortInUseError(host, port)
