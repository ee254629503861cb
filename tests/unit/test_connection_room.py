"""Whose connection is whose: addresses, networks, proxies."""

import pytest

from api.limits.connection_room import ConnectionRoom
from api.limits.errors import TooManyAddressConnectionsError, TooManyConnectionsError
from api.limits.settings import LimitSettings


def room(**limits):
    return ConnectionRoom(LimitSettings(**limits))


@pytest.mark.parametrize(
    ("first", "second", "is_same_client"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("127.0.0.1", "127.0.0.1", False),  # a proxy by default
        ("10.0.0.7", "10.0.0.7", False),  # likewise
        ("198.51.100.7", "198.51.100.7", False),  # a proxy by the settings of this test
        (None, None, False),
    ],
)
def test_a_client_is_an_address_or_a_network_of_ipv6(first, second, is_same_client):
    proxies = (*LimitSettings().proxies, "198.51.100.0/24")
    connections = room(max_connections_per_address=1, proxies=proxies)
    connections.enter(first)
    if is_same_client:
        with pytest.raises(TooManyAddressConnectionsError):
            connections.enter(second)
    else:
        connections.enter(second)


def test_who_leaves_makes_room_and_who_was_refused_took_none():
    connections = room(max_connections=3, max_connections_per_address=2)
    hers = [connections.enter("192.0.2.1") for _ in range(2)]
    for _ in range(5):
        with pytest.raises(TooManyAddressConnectionsError):
            connections.enter("192.0.2.1")
    connections.enter("192.0.2.2")
    with pytest.raises(TooManyConnectionsError):
        connections.enter("192.0.2.3")
    connections.leave(hers[0])
    connections.enter("192.0.2.1")


def test_connections_leave_files_for_everything_else(monkeypatch):
    monkeypatch.setattr("resource.getrlimit", lambda _: (130, 1000))
    connections = room()
    for _ in range(2):
        connections.enter("192.0.2.1")
    with pytest.raises(TooManyConnectionsError):
        connections.enter("192.0.2.1")
