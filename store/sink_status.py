"""What a sink says of itself, and what it is told: two small records that any process reads.

The sink that writes the archive renews its status about once a second. The wish to pause is kept
until it is taken back, over restarts and take-overs.
"""

from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from bridge import ConsumerInfo, ConsumerNotFoundError, StateConflictError, StateRecords

SINK: Final = "sink"
_STATUS: Final = "status"
_WISH: Final = "wish"
_PAUSE: Final = b'{"paused": true}'
_GO_ON: Final = b'{"paused": false}'
#: The durable consumer that hands the sink its events.
CONSUMER: Final = "sink"
#: A status that was not renewed for so long is of a sink that is gone.
AWAY_AFTER_S: Final = 15.0


class SinkState(StrEnum):
    """What a sink is doing."""

    ARCHIVING = "archiving"
    FAILING = "failing"
    PAUSED = "paused"
    STANDBY = "standby"
    AWAY = "away"


class SinkStatus(BaseModel):
    """One look at a sink.

    Attributes:
        state: What it is doing; ``failing`` while server or disk refuse, ``away`` when nobody has
            renewed this status for 15 s.
        process: The process that says so.
        root: The directory of its archive.
        reached_seq: The sequence in the log up to which it has written.
        lag_events: Events of the log that are not acknowledged as archived.
        lag_s: How long the oldest of them has been waiting, to a second or so.
        events: Events archived since the process began.
        events_per_s: The same a second, over the last seconds.
        failures: Attempts that server or disk refused since the process began.
        last_error: What the last one was refused with.
        last_error_at: When, RFC 3339.
        updated_at: When this was said, RFC 3339.
    """

    model_config = ConfigDict(frozen=True)

    state: SinkState
    process: str
    root: str
    reached_seq: int
    lag_events: int
    lag_s: float
    events: int
    events_per_s: float
    failures: int
    last_error: str | None
    last_error_at: str | None
    updated_at: str

    def age_s(self) -> float:
        """Return how long ago it was said, by this machine's clock."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.updated_at)).total_seconds()


class LogOfSink(Protocol):
    """What is asked of the log that the archive is written from."""

    @property
    def states(self) -> StateRecords:
        """Records that processes share."""

    async def get_consumer(self, name: str) -> ConsumerInfo:
        """Return how far a consumer is, or raise ConsumerNotFoundError."""


class SinkRecords:
    """Reads and writes what sinks say and are told.

    Its methods raise UnavailableError when the server falls silent.

    Args:
        bridge: The log that the archive is written from, open.
    """

    def __init__(self, bridge: LogOfSink) -> None:
        self._bridge = bridge

    async def find_status(self) -> SinkStatus | None:
        """Return what the sink said last; ``None`` when there never was one."""
        found = await self._bridge.states.find(SINK, _STATUS)
        if found is None:
            return None
        try:
            said = SinkStatus.model_validate_json(found.value)
        except ValidationError:  # of another version
            return None
        return said if said.age_s() < AWAY_AFTER_S else await self._as_of_now(said)

    async def _as_of_now(self, said: SinkStatus) -> SinkStatus:
        """Say what is known of a sink that is gone: the log goes on without it."""
        try:
            info = await self._bridge.get_consumer(CONSUMER)
        except ConsumerNotFoundError:
            return said.model_copy(update={"state": SinkState.AWAY})
        lag_events = info.waiting + info.unacknowledged
        lag_s = round(said.lag_s + said.age_s(), 3) if lag_events else 0.0
        facts = {"state": SinkState.AWAY, "lag_events": lag_events, "lag_s": lag_s}
        return said.model_copy(update={**facts, "events_per_s": 0.0})

    async def say(self, status: SinkStatus) -> None:
        """Store a status; of two that are said at the same moment one counts."""
        await self._put(_STATUS, status.model_dump_json().encode())

    async def is_paused(self) -> bool:
        """Whether sinks shall pause."""
        found = await self._bridge.states.find(SINK, _WISH)
        return found is not None and found.value == _PAUSE

    async def wish(self, *, paused: bool) -> None:
        """Tell sinks to pause, or to go on; the last wish counts."""
        await self._put(_WISH, _PAUSE if paused else _GO_ON)

    async def _put(self, key: str, value: bytes) -> None:
        states = self._bridge.states
        found = await states.find(SINK, key)
        with suppress(StateConflictError):  # somebody else's counts
            if found is None:
                await states.create(SINK, key, value)
            else:
                await states.update(SINK, key, value, revision=found.revision)
