"""Which addresses webhooks may call: public ones, and the networks that a setting names.

A name is judged by what it resolves to. That may change between two looks, so the address that is
connected to is judged once more, at the moment when its socket is made: nothing is ever sent to an
address that was not judged itself.
"""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any, Final, TypeAlias

from api.webhooks.url_rules import Place, UrlRules
from runs import WebhookRefusedError

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
#: Family, type, protocol, canonical name, socket address: as ``getaddrinfo`` returns it.
AddressInfo: TypeAlias = tuple[int, int, int, str, tuple[Any, ...]]

_RESOLVE_S: Final = 2.0
_NAT64: Final = IPv6Network("64:ff9b::/96")
#: Not public, whatever this version of Python says of them: services of clouds that answer their
#: own machines alone, protocol assignments, relays, site-local and documentation networks.
_SPECIAL: Final[tuple[Network, ...]] = tuple(
    ip_network(each)
    for each in (
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "64:ff9b:1::/48",
        "2001::/23",
        "3fff::/20",
        "5f00::/16",
        "fec0::/10",
    )
)


class RefusedAddressError(OSError):
    """A connection was not made, because its address must not be called."""


class AddressPolicy:
    """Judges URLs and addresses.

    Args:
        allowed: Networks that may be called although they are not public.
        is_signing: Whether calls can be signed; else every URL is refused.
        rules: What is demanded of URLs beside that.
    """

    def __init__(
        self, allowed: Sequence[Network], *, is_signing: bool, rules: UrlRules | None = None
    ) -> None:
        self._allowed = tuple(allowed)
        self._is_signing = is_signing
        self._rules = rules or UrlRules()

    async def check(self, url: str) -> None:
        """Return when ``url`` may be called, as far as that is known now.

        A name that cannot be resolved at this moment passes: it is judged again at the call.

        Raises:
            WebhookRefusedError: It must not be called.
        """
        if not self._is_signing:
            raise WebhookRefusedError("this server signs none; set JETRUN_WEBHOOKS__SECRET")
        found = await self._resolve(self._rules.check(url))
        if found and not all(self.allows(address) for address in found):
            # What a name stands for inside is not told to those outside.
            raise WebhookRefusedError(
                "its host is not public; JETRUN_WEBHOOKS__ALLOWED_NETWORKS names exceptions"
            )

    async def _resolve(self, place: Place) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(_RESOLVE_S):
                infos = await loop.getaddrinfo(*place, type=socket.SOCK_STREAM)
        except (TimeoutError, OSError, UnicodeError):
            return []
        return [_address_of(info[4]) for info in infos]

    def allows(self, address: Address) -> bool:
        """Whether an address may be called."""
        inner = _unwrapped(address)
        if any(address in network or inner in network for network in self._allowed):
            return True
        if any(inner in network for network in _SPECIAL):
            return False
        return inner.is_global and not (inner.is_multicast or address.is_multicast)

    def open_socket(self, info: AddressInfo) -> socket.socket:
        """Make the socket of a connection, unless its address must not be called.

        Raises:
            RefusedAddressError: It must not; nothing was sent.
        """
        family, kind, protocol, _, place = info
        if not self.allows(_address_of(place)):
            raise RefusedAddressError("the address is not public")
        return socket.socket(family=family, type=kind, proto=protocol)


def _address_of(place: tuple[Any, ...]) -> Address:
    return ip_address(str(place[0]).partition("%")[0])


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it stands for one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or address
