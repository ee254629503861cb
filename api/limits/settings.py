"""What one gateway bears, with units in every name."""

from ipaddress import IPv4Network, IPv6Network
from typing import Final

from pydantic import Field

from bridge.settings import Seconds, Section

#: This machine's and private networks, where proxies are.
_NEAR: Final = (
    IPv4Network("127.0.0.0/8"),
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv6Network("::1/128"),
    IPv6Network("fc00::/7"),
)


class LimitSettings(Section):
    """What clients may take of one gateway before it refuses them."""

    max_connections: int = Field(16_384, ge=1, description="open at one time")
    max_connections_per_address: int = Field(1024, ge=1, description="of one client, likewise")
    proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        _NEAR, description="addresses that stand for many clients: not limited one by one"
    )
    idle_connection_s: Seconds = Field(
        75.0, description="between two requests; longer than a proxy in front waits"
    )
    head_timeout_s: Seconds = Field(
        10.0, description="from the first byte of a request to the end of its headers"
    )
    body_timeout_s: Seconds = Field(60.0, description="for a request's body to arrive")
    min_read_bytes_per_s: int = Field(
        4096, ge=1, description="that a client must take, for http.stall_s, while more waits for it"
    )
    max_url_bytes: int = Field(8192, ge=256, description="of one request, its query included")
    max_header_bytes: int = Field(16_384, ge=256, description="one header, its name included")
    max_headers: int = Field(100, ge=8, description="of one request")
    max_pending_body_bytes: int = Field(
        256 << 20, ge=1024, description="bodies that are arriving, of all requests together"
    )
    max_json_depth: int = Field(
        128, ge=8, le=250, description="objects and arrays inside each other in a body"
    )
    max_streams_per_user: int = Field(1000, ge=1, description="streams and waits open at one time")
    max_events_per_run_s: int = Field(
        1000, ge=1, description="that clients append to one run in a second"
    )
    max_loop_lag_s: Seconds = Field(
        0.5, description="by which the event loop may be late; then new work is refused"
    )
    loop_lag_for_s: Seconds = Field(2.0, description="how long it must have been late for that")
    max_unanswered_requests: int = Field(
        4096, ge=1, description="to NATS at one time; then new work is refused"
    )
    max_memory_bytes: int | None = Field(
        None, ge=1 << 20, description="held by the process; None: 80 % of its container's limit"
    )
