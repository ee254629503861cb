"""How full log and job queue are, and how many servers keep the log."""

from dataclasses import dataclass

from bridge.connection import Connection
from bridge.pull_consumer import list_consumers
from bridge.retention.room import soft_limit
from bridge.stream_info import current_replicas
from bridge.subjects import Subjects


@dataclass(frozen=True, slots=True)
class LogState:
    """One look at the log.

    Attributes:
        events: Events that it holds.
        bytes: What they take on the server's disk.
        limit_bytes: How much that may be before ordinary events are refused; ``None``: no limit.
        runs: Runs of which it holds an event.
        consumers: Named readers, and the sink.
        max_consumers: How many there may be.
        replicas: How many servers shall keep it.
        current_replicas: How many of them are there and have all of it.
        waiting_jobs: Runs that wait for a worker.
        held_jobs: Runs that a worker has.
    """

    events: int
    bytes: int
    limit_bytes: int | None
    runs: int
    consumers: int
    max_consumers: int
    replicas: int
    current_replicas: int
    waiting_jobs: int
    held_jobs: int


async def read_log_state(connection: Connection, subjects: Subjects) -> LogState:
    """Ask the server; costs a request for the log and two for the jobs.

    Raises:
        UnavailableError: The server fell silent.
    """
    log = await connection.api(f"$JS.API.STREAM.INFO.{subjects.events_stream}")
    jobs = await connection.api(f"$JS.API.STREAM.INFO.{subjects.jobs_stream}")
    workers = await list_consumers(connection, subjects.jobs_stream)
    held_jobs = sum(int(each["num_ack_pending"]) for each in workers)
    config, state = log["config"], log["state"]
    return LogState(
        events=state["messages"],
        bytes=state["bytes"],
        limit_bytes=soft_limit(config["max_bytes"]) if config["max_bytes"] > 0 else None,
        runs=state.get("num_subjects", 0),
        consumers=state["consumer_count"],
        max_consumers=config["max_consumers"],
        replicas=config["num_replicas"],
        current_replicas=current_replicas(log),
        waiting_jobs=max(0, jobs["state"]["messages"] - held_jobs),
        held_jobs=held_jobs,
    )
