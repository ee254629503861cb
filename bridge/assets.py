"""How the JetStream assets of the system are at this moment, for whoever looks after them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.connection import Connection
from bridge.pull_consumer import NANOSECONDS, list_consumers
from bridge.settings import BridgeSettings
from bridge.stream_info import lagging_servers, limit_of
from bridge.subjects import Subjects
from bridge.topology import streams


@dataclass(frozen=True, slots=True)
class StreamAsset:
    """One stream.

    Attributes:
        name: Its name.
        messages: How many it holds.
        bytes: How large they are together.
        max_bytes: How large they may become; ``None``: as large as the server's disk lets them.
        last_seq: The newest sequence that it ever gave out.
        consumers: Named positions in it.
        replicas: Copies that it is meant to have.
        behind: Servers whose copy is away or not current.
    """

    name: str
    messages: int
    bytes: int
    max_bytes: int | None
    last_seq: int
    consumers: int
    replicas: int
    behind: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueAsset:
    """The jobs of one executor.

    Attributes:
        executor: What executes them.
        waiting: Jobs that no worker has.
        leased: Jobs that workers have.
        asking: Requests of workers for another job; 0 with jobs that wait: nobody serves it, or
            all are busy.
        lease_s: Silence after which a job is handed to another worker.
    """

    executor: str
    waiting: int
    leased: int
    asking: int
    lease_s: float


class Assets:
    """Reads what the server knows of the assets.

    Its methods raise UnavailableError when the server falls silent, ApiError when an asset is gone.

    Args:
        connection: An open connection.
        settings: Which streams there are.
    """

    def __init__(self, connection: Connection, settings: BridgeSettings) -> None:
        self._connection = connection
        self._jobs = Subjects(settings.log.prefix).jobs_stream
        self._names = [str(config["name"]) for config in streams(settings)]

    async def streams(self) -> list[StreamAsset]:
        """Return all streams of the system, by name."""
        return [await self._stream(name) for name in sorted(self._names)]

    async def _stream(self, name: str) -> StreamAsset:
        found = await self._connection.api(f"$JS.API.STREAM.INFO.{name}")
        config, state = found["config"], found["state"]
        return StreamAsset(
            name=name,
            messages=state["messages"],
            bytes=state["bytes"],
            max_bytes=limit_of(config["max_bytes"]),
            last_seq=state["last_seq"],
            consumers=state["consumer_count"],
            replicas=config["num_replicas"],
            behind=lagging_servers(found),
        )

    async def queues(self) -> list[QueueAsset]:
        """Return the queues of all executors that a worker ever served, by name."""
        found = await list_consumers(self._connection, self._jobs)
        return sorted(map(_queue, found), key=lambda queue: queue.executor)


def _queue(found: Mapping[str, Any]) -> QueueAsset:
    config = found["config"]
    return QueueAsset(
        executor=config["filter_subject"].rsplit(".", 2)[-2],
        waiting=found["num_pending"],
        leased=found["num_ack_pending"],
        asking=found["num_waiting"],
        lease_s=config["ack_wait"] / NANOSECONDS,
    )
