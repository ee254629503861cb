"""What the HTTP side can be told, with units in every name."""

from typing import Final, Literal

from pydantic import Field

from api.stream_modes import StreamMode
from bridge.settings import Seconds, Section
from runs.models import DisconnectMode, MultitaskStrategy

#: Groups of routes that can be left out.
GROUPS: Final = ("assistants", "threads", "runs", "store", "meta", "ui")


class HttpSettings(Section):
    """Where the gateway listens and how it treats its connections."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(2024, ge=0, le=65535, description="0 takes a free one")
    max_body_bytes: int = Field(
        (8 << 20) - (64 << 10), ge=1024, description="of one request; NATS takes 8 MiB in all"
    )
    heartbeat_s: Seconds = Field(5.0, description="between two comments on a stream, regular")
    settle_after_s: Seconds = Field(
        1.0, description="how long a terminal waits for the run's record before we finish it"
    )
    shutdown_s: Seconds = Field(10.0, description="for requests and streams in progress")
    max_streams: int = Field(10_000, ge=1, description="streams and waits open at one time")
    stall_s: Seconds = Field(
        120.0, description="how long a client may read nothing at all before it is cut off"
    )
    subscription_idle_s: Seconds = Field(
        86_400.0, description="without a connection, after which a subscription is removed"
    )
    graph_answer_s: Seconds = Field(
        20.0, description="for a worker to answer about a graph, its restart included"
    )
    cors_origins: tuple[str, ...] = Field(
        (), description="origins whose pages may call from a browser; * for all"
    )
    stream_modes: tuple[StreamMode, ...] = Field(
        ("values",), description="what a new run's stream shows when its creator does not say"
    )
    on_disconnect: DisconnectMode = Field(
        DisconnectMode.CONTINUE, description="when the creator of a run does not say"
    )
    multitask_strategy: MultitaskStrategy = Field(
        MultitaskStrategy.ENQUEUE, description="when the creator of a run does not say"
    )
    if_not_exists: Literal["reject", "create"] = Field(
        "reject", description="an unknown thread, when the creator of a run does not say"
    )
    mount_prefix: str = Field(
        "", pattern=r"^(/[A-Za-z0-9._~-]+)*$", description="path below which everything is served"
    )
    disabled: tuple[Literal["assistants", "threads", "runs", "store", "meta", "ui"], ...] = Field(
        (), description="groups of routes that are not served"
    )
    header_includes: tuple[str, ...] = Field(
        (), description="request headers that a run finds in its configuration; * matches any part"
    )
    header_excludes: tuple[str, ...] = Field((), description="of these, which it does not find")
    allow_unauthenticated: bool = Field(
        default=False, description="listen beyond the loopback address without authentication"
    )
