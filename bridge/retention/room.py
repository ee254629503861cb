"""How full the event log is: ordinary events are pushed back before the end of a run has no room.

The server's limit refuses every event alike. So a process looks once a second how full the stream
is, adds what it has sent itself since, and above a soft limit takes no more ordinary events. Births
and terminals go on into the reserve. Room that comes back is seen by the next look.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

from bridge.beside import beside
from bridge.errors import BridgeError, EventTooLargeError, StreamCapacityExceededError
from bridge.settings import BridgeSettings
from bridge.stream_reader import StreamReader

_LOG = logging.getLogger("jetrun.room")

_RESERVE_BYTES: Final = 64 << 20
_RESERVE_SHARE: Final = 0.05
#: Of a small log, a quarter is reserved at most.
_MAX_RESERVE_SHARE: Final = 0.25
#: Above the first share of a limit what may leave makes room, until the second is reached.
_HIGH: Final = 0.98
_LOW: Final = 0.95
#: What the server stores beside the payload of an event: subject, headers, its own record.
_OVERHEAD_BYTES: Final = 400


def soft_limit(max_bytes: int) -> int:
    """Return the bytes above which ordinary events are refused."""
    reserve = max(_RESERVE_SHARE * max_bytes, min(_RESERVE_BYTES, _MAX_RESERVE_SHARE * max_bytes))
    return max_bytes - int(reserve)


class LogRoom:
    """What a process knows of the room in the log.

    Args:
        reader: Reads the events stream.
        settings: The limits, and how often to look.
    """

    def __init__(self, reader: StreamReader, settings: BridgeSettings) -> None:
        self._reader = reader
        self._soft_limit: int | None = None
        self._max_runs = settings.retention.max_runs
        self._is_lru = settings.retention.max_runs_policy == "lru"
        self._poll_s = settings.retention.capacity_poll_s
        self._used_bytes = 0
        self._runs = 0

    @asynccontextmanager
    async def watched(self) -> AsyncGenerator[None]:
        """Look once, and from then on regularly, for the length of a context.

        Raises:
            UnavailableError: The server fell silent at the first look.
        """
        await self.look()
        if self._soft_limit is None:
            _LOG.warning("room.unlimited", extra={"hint": "give the event stream a max_bytes"})
        async with beside(self._keep_looking(), "log room"):
            yield

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            try:
                await self.look()
            except BridgeError as error:
                # What was seen last counts on; the server refuses by itself what it cannot take.
                _LOG.debug("room.unknown", extra={"error": str(error)})

    async def look(self) -> None:
        """Ask the server now."""
        state = await self._reader.state()
        self._soft_limit = soft_limit(state["max_bytes"]) if state["max_bytes"] > 0 else None
        self._used_bytes = state["bytes"]
        self._runs = state.get("num_subjects", 0)

    def admit(self, size_bytes: int) -> None:
        """Count ordinary events that are about to be stored.

        Raises:
            EventTooLargeError: They would never fit.
            StreamCapacityExceededError: There is no room for them now.
        """
        if self._soft_limit is None:
            return
        if size_bytes > self._soft_limit:
            raise EventTooLargeError(size_bytes, self._soft_limit)
        if self._used_bytes + size_bytes + _OVERHEAD_BYTES > self._soft_limit:
            raise StreamCapacityExceededError(
                f"{self._used_bytes} bytes are stored, ordinary events may fill {self._soft_limit}"
            )
        self.count(size_bytes)

    def count(self, size_bytes: int) -> None:
        """Count what is about to be stored, however full the log is."""
        self._used_bytes += size_bytes + _OVERHEAD_BYTES

    @property
    def is_nearly_full(self) -> bool:
        """Whether bytes or runs should leave, before new ones must be refused."""
        return self._bytes_above(_HIGH) > 0 or self._runs_above(_HIGH) > 0

    @property
    def surplus_bytes(self) -> int:
        """How many bytes should leave, once it was nearly full."""
        return self._bytes_above(_LOW)

    @property
    def surplus_runs(self) -> int:
        """How many ended runs should leave, once it was nearly full."""
        return self._runs_above(_LOW)

    @property
    def may_forget_runs(self) -> bool:
        """Whether ended runs may leave the log altogether."""
        return self._is_lru

    def _bytes_above(self, share: float) -> int:
        return 0 if self._soft_limit is None else int(self._used_bytes - share * self._soft_limit)

    def _runs_above(self, share: float) -> int:
        headroom = max(1, round((1 - share) * self._max_runs))
        return self._runs + headroom - self._max_runs if self._is_lru else 0

    @property
    def has_room_for_run(self) -> bool:
        """Whether the log may hold another run."""
        return self._runs < self._max_runs

    def refuse_run(self) -> None:
        """Say that the log cannot take another run.

        Raises:
            StreamCapacityExceededError: Always.
        """
        raise StreamCapacityExceededError(
            f"all {self._max_runs} runs are active, or cannot leave yet"
        )

    def count_run(self) -> None:
        """Count a run that was born."""
        self._runs += 1
