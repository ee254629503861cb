"""Which events of a thread a client wants: channels, namespaces, depth."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from api.schemas import MAX_NAME, MAX_SEQ, Body
from api.thread_protocol.run_events import Told

MAX_CHANNELS = 256

Channel = Annotated[
    str,
    Field(
        max_length=MAX_NAME,
        pattern=r"^(values|updates|messages|tools|lifecycle|input|checkpoints|tasks|custom(:.+)?)$",
    ),
]
Path = Annotated[tuple[str, ...], Field(max_length=MAX_CHANNELS)]


class EventsWanted(Body):
    """The body of ``POST /threads/{thread_id}/stream/events``.

    Attributes:
        channels: Of which kinds; ``custom`` admits the named ones, too.
        namespaces: Below these paths; none at all means everywhere.
        depth: At most so many levels below such a path.
        since: The sequence of the last event handled.
    """

    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=MAX_CHANNELS)]
    namespaces: Annotated[tuple[Path, ...], Field(max_length=MAX_CHANNELS)] | None = None
    depth: int | None = Field(None, ge=0)
    since: int | None = Field(None, ge=0, le=MAX_SEQ)

    def admits(self, told: Told) -> bool:
        """Whether an event is wanted."""
        channel = told.channel
        if channel not in self.channels and not (
            channel.startswith("custom:") and "custom" in self.channels
        ):
            return False
        if not self.namespaces:
            return True
        return any(self._is_below(told.namespace, prefix) for prefix in self.namespaces)

    def _is_below(self, namespace: Sequence[str], prefix: Sequence[str]) -> bool:
        below = len(namespace) - len(prefix)
        if below < 0 or (self.depth is not None and below > self.depth):
            return False
        return all(
            own == wanted or (":" not in wanted and own.partition(":")[0] == wanted)
            for own, wanted in zip(namespace, prefix, strict=False)
        )
