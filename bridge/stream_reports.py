"""How a log's streams are, what differs from what is wanted, and how they become that.

What processes do at their start is in :mod:`bridge.topology`: they make what is absent and change
nothing. Changing is for operators, who call this.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bridge.connection import Connection
from bridge.settings import BridgeSettings
from bridge.stream_info import find_stream
from bridge.topology import Drift, StreamConfig, differences, ensure_streams, streams


@dataclass(frozen=True, slots=True)
class StreamReport:
    """One stream of the log.

    Attributes:
        name: Its name.
        config: Its configuration; None where there is no such stream.
        state: Its counts and sequences; empty where there is none.
        drifts: What differs from what is wanted.
    """

    name: str
    config: Mapping[str, Any] | None
    state: Mapping[str, Any]
    drifts: tuple[Drift, ...]

    @property
    def is_sound(self) -> bool:
        """Whether it is there, and as it is wanted."""
        return self.config is not None and not self.drifts


class StreamUpkeep:
    """Looks at streams, and changes them.

    Args:
        connection: An open connection.
        settings: What is wanted.
    """

    def __init__(self, connection: Connection, settings: BridgeSettings) -> None:
        self._connection = connection
        self._settings = settings

    async def report(self) -> list[StreamReport]:
        """Return how all streams are.

        Raises:
            UnavailableError: The server fell silent.
        """
        return [await self._report(wanted) for wanted in streams(self._settings)]

    async def _report(self, wanted: StreamConfig) -> StreamReport:
        name = wanted["name"]
        found = await find_stream(self._connection, name)
        if found is None:
            return StreamReport(name, None, {}, ())
        config = found["config"]
        return StreamReport(name, config, found["state"], tuple(differences(wanted, config)))

    async def make(self) -> list[StreamReport]:
        """Make what is absent, verify the rest, and return how all streams are.

        Raises:
            BridgeError: As :func:`ensure_streams` says.
        """
        await ensure_streams(self._connection, self._settings)
        return await self.report()

    async def apply(self) -> list[StreamReport]:
        """Make what is absent, change what differs, and return how all streams are then.

        Raises:
            ApiError: The server refuses a change that cannot be made to a stream that exists;
                streams before it are changed.
            UnavailableError: The server fell silent; call again.
        """
        for wanted, report in zip(streams(self._settings), await self.report(), strict=True):
            if report.config is not None and report.drifts:
                changed = {**report.config, **wanted}
                await self._connection.api(f"$JS.API.STREAM.UPDATE.{report.name}", changed)
        return await self.make()


@asynccontextmanager
async def open_upkeep(settings: BridgeSettings) -> AsyncGenerator[StreamUpkeep]:
    """Connect to look after streams; connecting makes none.

    Raises:
        UnavailableError: No server answered in time.
        AccessDeniedError: The server refused the credentials.
    """
    connection = Connection(settings, name="jetrun-streams")
    await connection.open()
    try:
        yield StreamUpkeep(connection, settings)
    finally:
        await connection.close()
