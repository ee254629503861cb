"""What the HTTP side can be told, with units in every name."""

import re
from typing import Final, Literal, Self

from pydantic import Field, field_validator, model_validator

from api.header_names import HeaderName
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
        120.0, description="how long a client may read too little before it is cut off"
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
    cors_origin_pattern: str | None = Field(
        None, min_length=1, description="regular expression of whole origins, as above"
    )
    cors_methods: tuple[HeaderName, ...] = Field(
        (), description="methods that those pages may use; none or *: all"
    )
    cors_headers: tuple[HeaderName, ...] = Field(
        (), description="request headers that they may send; none or *: all"
    )
    cors_exposed_headers: tuple[HeaderName, ...] = Field(
        (), description="headers of answers that they may read beside ours"
    )
    cors_credentials: bool = Field(
        default=False, description="whether browsers send cookies along; not with *"
    )
    cors_max_age_s: int = Field(
        600, ge=0, le=86_400, description="for which a browser may keep what it was allowed"
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

    @field_validator("cors_origin_pattern")
    @classmethod
    def _is_a_pattern(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as exc:
            msg = f"it is no regular expression: {exc}"
            raise ValueError(msg) from exc
        return value

    @model_validator(mode="after")
    def _credentials_are_for_named_origins(self) -> Self:
        if self.cors_credentials and "*" in self.cors_origins:
            msg = "cors_credentials: every page of the web could act for its visitors; name origins"
            raise ValueError(msg)
        return self
