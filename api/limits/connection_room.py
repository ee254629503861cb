"""How many connections there may be: in this process, and from one address.

A proxy's address stands for all clients behind it, so those that are named are not limited one by
one. Of IPv6 a client has 64 bits to choose its addresses from: they count as one.
"""

import resource
from collections import Counter
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

from api.limits.errors import TooManyAddressConnectionsError, TooManyConnectionsError
from api.limits.settings import LimitSettings

#: Open files that are no connections of clients: NATS, tables, the archive, logs.
RESERVED_FILES: Final = 128
_IPV6_CLIENT_BITS: Final = 64


def allow_open_files(settings: LimitSettings) -> None:
    """Let this process have as many files open as its connections may need, where it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = settings.max_connections + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))


class ConnectionRoom:
    """Counts open connections.

    Args:
        settings: How many there may be.
    """

    def __init__(self, settings: LimitSettings) -> None:
        self._settings = settings
        self._total = 0
        self._of_clients: Counter[str] = Counter()

    def enter(self, address: str | None) -> str | None:
        """Count a connection.

        Args:
            address: Whence it comes; ``None`` where there are no addresses.

        Returns:
            Whose it is; :meth:`leave` wants it back.

        Raises:
            TooManyConnectionsError: There is no room at all.
            TooManyAddressConnectionsError: There is none for this client.
        """
        most = min(self._settings.max_connections, _open_files() - RESERVED_FILES)
        if self._total >= most:
            raise TooManyConnectionsError(most)
        client = None if address is None else self._client_of(address)
        if client is not None:
            if self._of_clients[client] >= self._settings.max_connections_per_address:
                raise TooManyAddressConnectionsError(self._settings.max_connections_per_address)
            self._of_clients[client] += 1
        self._total += 1
        return client

    def leave(self, client: str | None) -> None:
        """Count a connection no longer."""
        self._total -= 1
        if client is not None:
            self._of_clients[client] -= 1
            if not self._of_clients[client]:
                del self._of_clients[client]

    def _client_of(self, address: str) -> str | None:
        """Return what an address counts as; ``None`` for a proxy's."""
        ip = ip_address(address.partition("%")[0])
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if any(ip in network for network in self._settings.proxies):
            return None
        if isinstance(ip, IPv6Address):
            return str(IPv6Network((ip, _IPV6_CLIENT_BITS), strict=False))
        return str(ip)


def _open_files() -> int:
    """Return how many files this process may have open: beyond it no connection is accepted."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft
