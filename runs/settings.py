"""What run control can be told, with units in every name; one file for all defaults."""

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field, SecretStr, StringConstraints

from bridge import Section
from runs.time_to_live import Strategy

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=86_400)]
#: Where an object of user code is.
TARGET: Final = r"^[^:\s]+:[A-Za-z_][A-Za-z0-9_]*$"
AssistantName: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class RunSettings(Section):
    """Admission: what a thread may hold and how hard a call tries."""

    max_queued_runs: int = Field(100, ge=0, le=10_000, description="waiting per thread")
    max_runs_per_user: int | None = Field(
        None, ge=1, le=2000, description="under way at one time, waiting ones too; None: no limit"
    )
    max_runs_per_assistant: int | None = Field(None, ge=1, le=2000, description="likewise")
    max_crons: int = Field(1000, ge=0, le=10_000, description="crons of all users together")
    max_crons_per_user: int = Field(100, ge=0, le=10_000, description="crons of one user")
    min_cron_interval_s: float = Field(
        60.0, ge=1, le=31_536_000, description="between two firings of a cron, by its schedule"
    )
    max_input_bytes: int = Field(
        65_536, ge=1, le=262_144, description="what a run asks its user, and the answer, each"
    )
    max_assistant_versions: int = Field(
        100, ge=1, le=10_000, description="kept of an assistant that a client made"
    )
    max_conflicts: int = Field(
        64, ge=1, le=10_000, description="lost races of one call, after which it gives up"
    )
    stale_s: Seconds = Field(
        5.0, description="age of a step that somebody left half done, before others finish it"
    )
    delete_wait_s: Seconds = Field(
        10.0, description="a deletion waits so long for a worker; then it ends the run itself"
    )
    no_worker_timeout_s: float = Field(
        86_400.0,
        gt=0,
        le=31_536_000,
        description="a run whose turn has come waits so long for a worker; then it is ended",
    )
    temporary_ttl_s: float = Field(
        300.0, ge=0, le=86_400, description="an ended stateless run can be read for so long"
    )


class ReadModelSettings(Section):
    """The tables that are searched: how long a query waits, and how much is read at one time."""

    wait_s: Seconds = Field(
        5.0, description="for the tables to catch up with the records; then the query fails"
    )
    poll_s: Seconds = Field(0.5, description="how often the records are read on without a query")
    max_readers: int = Field(2, ge=1, le=64, description="queries of one process at one time")


class ExpirySettings(Section):
    """When ended runs and threads at rest are deleted; by default never."""

    ended_run_ttl_s: float | None = Field(None, gt=0, description="from a run's end")
    max_ended_runs: int | None = Field(None, ge=0, description="kept; those that ended first go")
    idle_thread_ttl_s: float | None = Field(
        None, gt=0, description="from a thread's last change, where it has no time of its own"
    )
    idle_thread_strategy: Strategy = Field(
        "delete", description="what goes then: the thread, or all but its newest state"
    )
    max_threads: int | None = Field(None, ge=0, description="kept; those that rest longest go")
    interval_s: Seconds = Field(60.0, description="between two looks for what has expired")
    max_per_step: int = Field(100, ge=1, le=10_000, description="deleted before the next look")


class WorkerSettings(Section):
    """One worker process: how much it runs, and how it holds on and lets go."""

    concurrency: int = Field(32, ge=1, le=10_000, description="runs executed at one time")
    lease_s: Seconds = Field(30.0, description="silence after which others take a run over")
    max_blocked_s: Seconds = Field(
        300.0, description="code that blocks the worker for longer loses all runs of the worker"
    )
    probe_s: Seconds = Field(
        2.0, description="wait for the answer of the worker that has a run, before it is lost"
    )
    drain_s: Seconds = Field(10.0, description="time for running runs after SIGTERM")
    cancel_grace_s: Seconds = Field(5.0, description="time for a handler to stop when cancelled")
    state_poll_s: Seconds = Field(5.0, description="look for cancel wishes whose nudge was lost")
    fetch_wait_s: Seconds = Field(5.0, description="one wait for a job; then the worker asks again")
    input_wait_s: Seconds = Field(7200.0, description="a run waits so long for its user's answer")
    max_unacknowledged_events: int = Field(
        512, ge=1, le=4096, description="emitted per run and not stored yet; then emit waits"
    )
    max_unacknowledged_bytes: int = Field(4 << 20, ge=1, description="payload, as above")
    max_events_per_s: int = Field(
        10_000, ge=1, description="emitted by one run in a second; then emit waits"
    )
    max_node_threads: int = Field(
        64, ge=1, le=10_000, description="sync nodes of graphs that run at one time"
    )


class GraphSettings(Section):
    """What the graphs of a worker share; read by workers."""

    dependencies: tuple[Path, ...] = Field(
        (), description="directories whose modules user code may import"
    )
    env: dict[str, SecretStr] = Field(
        default_factory=dict, description="variables that user code finds in its environment"
    )
    checkpointer: str | None = Field(
        None, pattern=TARGET, description="module:attr of a checkpointer, or of a factory"
    )
    allowed_json_modules: Literal[True] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="types that checkpoints of older releases may hold; true: all"
    )
    allowed_msgpack_modules: Literal[True] | tuple[tuple[str, ...], ...] | None = Field(
        None, description="types that checkpoints may hold; true: all; None: LangGraph's default"
    )
    pickle_fallback: bool = Field(
        default=False, description="whether checkpoints may hold pickled objects"
    )
    store_ttl_s: float | None = Field(
        None, gt=0, description="of items that are put without one; None: they stay"
    )
    store_ttl_refreshes: bool = Field(
        default=True, description="whether reading an item starts its time anew"
    )


class AssistantSettings(Section):
    """One assistant: the function or graph that executes its runs."""

    function: str = Field(pattern=TARGET, description="module:attr or ./file.py:attr")
    kind: Literal["function", "graph"] = Field("function", description="what stands there")
    description: str = ""
    on_worker_lost: Literal["dead_letter", "restart"] | None = Field(
        None,
        description="what becomes of a run whose worker died; None: restart for graphs, which go "
        "on from their last checkpoint, dead_letter for functions",
    )
    max_attempts: int = Field(
        3, ge=1, le=1000, description="executions of a restarted run that may lose their worker"
    )
    timeout_s: Seconds | None = Field(None, description="of one execution; None: no limit")
