"""Take the gateway's address before anything is started, so that a taken port costs nothing."""

import errno
import ipaddress
import socket
from typing import Final

from api.http_settings import HttpSettings
from api.startup_errors import ExposedHostError, ListenError
from bridge import PortInUseError

LOOPBACK: Final = "127.0.0.1"


def open_listener(http: HttpSettings, *, authenticates: bool = False) -> socket.socket:
    """Bind the gateway's socket; connections are accepted once the application listens on it.

    Args:
        http: Where.
        authenticates: Whether the application finds out who calls.

    Raises:
        ExposedHostError: The address is reachable from elsewhere, and requests are not
            authenticated.
        PortInUseError: Another process listens there.
        ListenError: The address is not ours, or may not be used.
    """
    if not (authenticates or http.allow_unauthenticated or _is_loopback(http.host)):
        raise ExposedHostError(http.host)
    try:
        family, address = _resolve(http.host, http.port)
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            # A second bind must fail here, not when the other process starts to listen.
            listener.listen()
        except BaseException:
            listener.close()
            raise
    except OSError as exc:
        if exc.errno == errno.EADDRINUSE:
            raise PortInUseError(http.host, http.port) from exc
        raise ListenError(http.host, http.port, exc.strerror or str(exc)) from exc
    return listener


def listener_url(listener: socket.socket) -> str:
    """Return the URL at which a client on this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        host = LOOPBACK if address.version == 4 else "::1"  # noqa: PLR2004 - IPv4
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _resolve(host: str, port: int) -> tuple[socket.AddressFamily, tuple[object, ...]]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first, because clients told "localhost" by a script seldom try the other one.
    family, _, _, _, address = min(found, key=lambda each: each[0] != socket.AF_INET)
    return family, address


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
