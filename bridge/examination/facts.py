"""What an examination of the server found."""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.topology import Drift


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """One stream as it is.

    Attributes:
        name: Its name.
        drifts: Where it differs from what the settings want.
        bytes: What its messages take, by the server's accounting.
        max_bytes: How much that may be; ``None``: there is no limit.
        consumers: Its consumers.
        max_consumers: How many there may be; ``None``: there is no limit.
        replicas: How many servers shall keep it.
        current_replicas: How many of them are there and have all of it.
    """

    name: str
    drifts: Sequence[Drift]
    bytes: int
    max_bytes: int | None
    consumers: int
    max_consumers: int | None
    replicas: int
    current_replicas: int


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The server, and the streams that it has.

    Attributes:
        version: What it announced.
        has_jetstream: Whether it announced JetStream.
        events: The event log; ``None`` when it does not exist, or the server did not say.
        others: The other streams that exist.
        missing: Streams that do not exist.
        clock_offset_s: How far its clock is ahead of ours; ``None`` when it did not say.
        clock_error_s: How wrong that may be.
    """

    version: str
    has_jetstream: bool
    events: StreamFacts | None
    others: Sequence[StreamFacts]
    missing: Sequence[str]
    clock_offset_s: float | None
    clock_error_s: float

    @property
    def streams(self) -> Sequence[StreamFacts]:
        """All streams that exist."""
        return (*self.others, *([] if self.events is None else [self.events]))

    @property
    def stored_bytes(self) -> int:
        """What all of them take, by the server's accounting."""
        return sum(stream.bytes for stream in self.streams)
