"""Asks a server about itself. Nothing is made, changed or required to be right."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from bridge.connection import Connection
from bridge.consumers import consumer_info
from bridge.consumption import ConsumerInfo
from bridge.examination.facts import ServerFacts, StreamFacts
from bridge.pull_consumer import find_consumer
from bridge.settings import BridgeSettings
from bridge.state import JetStreamStates
from bridge.stream_info import current_replicas, find_stream, limit_of
from bridge.stream_reader import StreamReader
from bridge.subjects import Subjects
from bridge.topology import StreamConfig, differences, streams


class Examiner:
    """A connection that only looks; an async context manager.

    Args:
        settings: Where the server is, and what its streams should be.

    Attributes:
        states: The records of the log, as any process reads them.
    """

    def __init__(self, settings: BridgeSettings) -> None:
        self._settings = settings
        self._subjects = Subjects(settings.log.prefix)
        self._connection = Connection(settings, name="jetrun-doctor")
        limits = settings.log
        reader = StreamReader(
            self._connection,
            self._subjects.state_stream,
            max_concurrent_reads=limits.max_concurrent_reads,
            timeout_s=limits.request_timeout_s,
        )
        self.states = JetStreamStates(
            self._connection, reader, self._subjects.state, self._subjects.states
        )

    async def __aenter__(self) -> Self:
        """Connect.

        Raises:
            UnavailableError: No server answered in time.
            AccessDeniedError: The server refused the credentials.
        """
        await self._connection.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._connection.close()

    async def examine(self) -> ServerFacts:
        """Ask for everything.

        Raises:
            JetStreamDisabledError: The server has JetStream, and our account has not.
            ApiError: JetStream refuses to answer.
            UnavailableError: The server fell silent.
        """
        found: dict[str, StreamFacts] = {}
        missing = []
        offset_s, error_s = None, 0.0
        for wanted in streams(self._settings) if self._connection.has_jetstream else ():
            began = time.time()
            answer = await find_stream(self._connection, wanted["name"])
            if answer is None:
                missing.append(wanted["name"])
            else:
                found[wanted["name"]] = _facts_of(wanted, answer)
                error_s = (time.time() - began) / 2
                offset_s = _instant(answer["ts"]) - (began + error_s)
        events = found.pop(self._subjects.events_stream, None)
        return ServerFacts(
            version=self._connection.server_version,
            has_jetstream=self._connection.has_jetstream,
            events=events,
            others=tuple(found.values()),
            missing=tuple(missing),
            clock_offset_s=offset_s,
            clock_error_s=error_s,
        )

    async def get_consumer(self, name: str) -> ConsumerInfo:
        """Return one consumer of the event log; see :meth:`Consuming.get_consumer`."""
        found = await find_consumer(self._connection, self._subjects.events_stream, name)
        return consumer_info(self._subjects, found)


def _facts_of(wanted: StreamConfig, answer: Mapping[str, Any]) -> StreamFacts:
    config, state = answer["config"], answer["state"]
    return StreamFacts(
        name=config["name"],
        drifts=tuple(differences(wanted, config)),
        bytes=state["bytes"],
        max_bytes=limit_of(config["max_bytes"]),
        consumers=state["consumer_count"],
        max_consumers=limit_of(config["max_consumers"]),
        replicas=config["num_replicas"],
        current_replicas=current_replicas(answer),
    )


def _instant(text: str) -> float:
    # datetime knows no nanoseconds.
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = datetime.fromisoformat(whole).replace(tzinfo=UTC).timestamp()
    return seconds + float(f"0.{fraction or 0}")
