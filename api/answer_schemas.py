"""The forms of answers, as the API's document shows them and the type checker holds us to them."""

from typing import Annotated, Any, Literal, NotRequired, TypeAlias

from pydantic import WithJsonSchema
from typing_extensions import TypedDict

from bridge import QueueAsset, RetentionSettings, StreamAsset
from runs import MultitaskStrategy, RunStatus, ThreadStatus, WebhookStatus
from runs.time_to_live import Strategy
from store import Record, SinkStatus

JsonObject: TypeAlias = dict[str, Any]
Time: TypeAlias = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class Problem(TypedDict):
    """Why a request was refused: a problem document of RFC 9457. ``code`` is stable."""

    title: str
    status: int
    code: str
    detail: str


class ServerSentEvent(TypedDict):
    """One block of an event stream; ``data`` is JSON."""

    id: NotRequired[str]
    event: str
    data: str
    retry: NotRequired[int]


class SignOfLife(TypedDict):
    """That the server answers."""

    ok: Literal[True]


class CallerShown(TypedDict):
    """For whom a server takes who asks."""

    user_id: str | None
    role: Literal["user", "operator"]
    scopes: list[str]


class ServerInfo(TypedDict):
    """What a server is, and for whom it takes who asks."""

    name: str
    version: str
    flags: dict[str, bool]
    caller: CallerShown


class Liveness(TypedDict):
    """That a process answers."""

    status: Literal["alive"]


class ArchiveState(TypedDict):
    """How the sink is."""

    state: str
    lag_events: int | None
    lag_s: float | None
    updated_at: Time


class Readiness(TypedDict):
    """That a gateway can work, and how the archive is."""

    status: Literal["ready"]
    archive: ArchiveState | None


class FaultShown(TypedDict):
    """Why a run failed."""

    error: str
    message: str


class RunShown(TypedDict):
    """A run, without its input; from ``graph_id`` on what the platform does not tell."""

    run_id: str
    thread_id: str
    assistant_id: str | None
    created_at: Time
    updated_at: Time
    status: RunStatus
    metadata: JsonObject
    kwargs: JsonObject
    multitask_strategy: MultitaskStrategy
    model_name: str | None
    usage: dict[str, int] | None
    graph_id: str
    user_id: str | None
    attempt: int
    worker: str | None
    error: FaultShown | None
    started_at: Time | None
    ended_at: Time | None


class InterruptShown(TypedDict):
    """What a run asks its user."""

    value: Any
    id: str


class TtlShown(TypedDict):
    """How long a thread stays, and when its time is over."""

    strategy: Strategy
    ttl_minutes: float
    expires_at: Time | None


class ThreadShown(TypedDict):
    """A thread with the final values of its last successful run."""

    thread_id: str
    created_at: Time
    updated_at: Time
    state_updated_at: Time
    metadata: JsonObject
    status: ThreadStatus
    config: JsonObject
    values: Any
    interrupts: dict[str, list[InterruptShown]]
    error: None
    ttl: NotRequired[TtlShown | None]


class TaskShown(TypedDict):
    """What a thread does next, or waits for."""

    id: str
    name: str
    path: NotRequired[list[Any]]
    error: str | None
    interrupts: list[InterruptShown]
    checkpoint: JsonObject | None
    state: JsonObject | None
    result: Any


class StateShown(TypedDict):
    """The state of a thread at one checkpoint; of a fresh thread all is null or empty."""

    values: Any
    next: list[str]
    tasks: list[TaskShown]
    metadata: JsonObject | None
    created_at: Time | None
    checkpoint: JsonObject | None
    parent_checkpoint: JsonObject | None
    interrupts: list[InterruptShown]
    checkpoint_id: str | None
    parent_checkpoint_id: str | None


class StateUpdated(TypedDict):
    """The checkpoint that an update made."""

    checkpoint: JsonObject | None
    configurable: JsonObject | None
    checkpoint_id: str | None


class PruneResult(TypedDict):
    """How many threads were pruned."""

    pruned_count: int


class AssistantShown(TypedDict):
    """An assistant, declared or made by a client."""

    assistant_id: str
    graph_id: str
    name: str
    config: JsonObject
    context: JsonObject
    metadata: JsonObject
    version: int
    description: str | None
    created_at: Time
    updated_at: Time


class GraphSchemas(TypedDict):
    """JSON schemas of a graph; null for a function, and where a type has none."""

    graph_id: NotRequired[str]
    input_schema: JsonObject | None
    output_schema: JsonObject | None
    state_schema: JsonObject | None
    config_schema: JsonObject | None
    context_schema: JsonObject | None


class Drawing(TypedDict):
    """The nodes and edges of a graph."""

    nodes: list[JsonObject]
    edges: list[JsonObject]


class CronShown(TypedDict):
    """A cron."""

    cron_id: str
    assistant_id: str
    thread_id: str | None
    on_run_completed: Literal["delete", "keep"] | None
    end_time: Time | None
    schedule: str
    timezone: str | None
    created_at: Time
    updated_at: Time
    payload: JsonObject
    user_id: str | None
    next_run_date: Time | None
    metadata: JsonObject
    enabled: bool


class CronFound(CronShown):
    """A cron, and when it was looked at."""

    now: Time


class WebhookShown(TypedDict):
    """How far the call of a run's webhook has come."""

    run_id: str
    thread_id: str
    status: WebhookStatus
    attempts: int
    error: str | None
    created_at: Time
    updated_at: Time


class StreamTokenShown(TypedDict):
    """A token that opens a run's stream and file."""

    token: str
    thread_id: str
    run_id: str
    expires_at: Time


class RecordPage(TypedDict):
    """Records of a run or thread, ascending."""

    data: list[Record]
    has_more: bool


class TiersShown(TypedDict):
    """Numbers of a run's first and last event in the log, and of the archive's last one."""

    logged_from: int | None
    logged_to: int | None
    archived_to: int
    behind: int


class GivenShown(TypedDict):
    """What a run was given."""

    input: Any
    command: Any


class SystemState(TypedDict):
    """How the whole system is."""

    streams: list[StreamAsset]
    queues: list[QueueAsset]
    archive: SinkStatus | None
    retention: RetentionSettings


class EventStored(TypedDict):
    """The id of a published event."""

    id: str


class ItemShown(TypedDict):
    """An item of the store."""

    namespace: tuple[str, ...]
    key: str
    value: JsonObject
    created_at: Time
    updated_at: Time


class ItemsFound(TypedDict):
    """Items."""

    items: list[ItemShown]


class NamespacesFound(TypedDict):
    """Namespaces that hold items."""

    namespaces: list[tuple[str, ...]]


class CommandResult(TypedDict):
    """What came of a command that was carried out."""

    run_id: str


class CommandDone(TypedDict):
    """A command was carried out."""

    type: Literal["success"]
    id: int
    result: CommandResult


class CommandRefused(TypedDict):
    """A command was refused."""

    type: Literal["error"]
    id: int
    error: str
    message: str
