"""The facts about one run: what was asked, how far it has come, how it ended.

All models are immutable. A run's status is a projection of its log: the terminal event decides.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticSerializationError

from bridge import InvalidContentError, encode_json
from runs.errors import IllegalTransitionError, UnreadableRecordError

#: Characters of an idempotency key.
MAX_KEY: Final = 256
#: Ten years; what is to begin later is probably a mistake of the unit.
MAX_DELAY_S: Final = 315_360_000


class RunStatus(StrEnum):
    """How far a run has come."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    ERROR = "error"
    TIMEOUT = "timeout"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether nothing can follow."""
        return self in FINAL_STATUSES


FINAL_STATUSES: Final = frozenset(
    {RunStatus.SUCCESS, RunStatus.ERROR, RunStatus.TIMEOUT, RunStatus.INTERRUPTED}
)

LEGAL_TRANSITIONS: Final[Mapping[RunStatus, frozenset[RunStatus]]] = MappingProxyType(
    {
        RunStatus.PENDING: frozenset({RunStatus.RUNNING, RunStatus.INTERRUPTED, RunStatus.ERROR}),
        RunStatus.RUNNING: FINAL_STATUSES,
        **dict.fromkeys(FINAL_STATUSES, frozenset()),
    }
)


class DisconnectMode(StrEnum):
    """What becomes of a run when its creator's connection closes."""

    CANCEL = "cancel"
    CONTINUE = "continue"


class MultitaskStrategy(StrEnum):
    """What to do with a new run when the thread has an active one."""

    REJECT = "reject"
    ENQUEUE = "enqueue"
    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


class CancelAction(StrEnum):
    """What a cancel does beside stopping the run."""

    INTERRUPT = "interrupt"
    ROLLBACK = "rollback"


class CancelOutcome(StrEnum):
    """What a cancel did; always true as a condition, because a refused cancel is an error."""

    STOPPED = "stopped"
    STOPPING = "stopping"


def now() -> datetime:
    """Return the time now, in UTC."""
    return datetime.now(UTC)


class Frozen(BaseModel):
    """Base of all facts that are stored: immutable, and an unknown field is an error."""

    # Left as they are, NaN and Infinity are found and refused.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def encode(self) -> bytes:
        """Serialise to JSON.

        Raises:
            InvalidContentError: A value inside has no JSON form, or is NaN or Infinity.
        """
        try:
            value = self.model_dump_json().encode()
            if b"NaN" in value or b"Infinity" in value:
                # A word in a text, or a number that must be refused: the strict encoder knows.
                return encode_json(self.model_dump(mode="json"))
        except PydanticSerializationError as exc:
            raise InvalidContentError(str(exc)) from exc
        return value

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """Return a copy with other values, which are checked as those of a new one are.

        Raises:
            ValueError: There is no such field, or a value does not fit.
        """
        return type(self).model_validate({**dict(self), **changes})

    @classmethod
    def decode(cls, value: bytes) -> Self:
        """Read what :meth:`encode` wrote.

        Raises:
            UnreadableRecordError: It was not this version that wrote it.
        """
        try:
            return cls.model_validate_json(value)
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise UnreadableRecordError(cls.__name__, f"{where}: {first['msg']}") from exc


class RunFault(Frozen):
    """Why a run failed: the name of the error's class, and its text."""

    error: str
    message: str


class TokenUsage(Frozen):
    """How many tokens the models of a run have read and written."""

    input_tokens: int = 0
    output_tokens: int = 0
    total_tokens: int = 0

    def plus(self, other: "TokenUsage") -> "TokenUsage":
        """Return the sum."""
        return TokenUsage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            total_tokens=self.total_tokens + other.total_tokens,
        )


class RunSpec(Frozen):
    """What a caller asks for. Options that are not available yet are refused by the manager.

    Attributes:
        assistant_id: Name or id of the assistant.
        thread_id: The thread; ``None`` runs in a temporary thread of its own.
        stream_mode: Which events the creator wants to see; the log always holds all of them.
        on_completion: What becomes of a temporary thread after the run.
        if_not_exists: Whether an unknown thread is an error or is created.
        user_id: The owner; ``None`` where there is no authentication.
        idempotency_key: A repeated create with the same key returns the first run.
        after_seconds: How long after its creation the run may begin; ``None`` and 0 mean at once.
        webhook: Where the run is told of when it has ended.
    """

    assistant_id: str
    thread_id: str | None = None
    input: Any = None
    command: dict[str, Any] | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    stream_mode: tuple[str, ...] = ("values",)
    stream_subgraphs: bool = False
    multitask_strategy: MultitaskStrategy = MultitaskStrategy.ENQUEUE
    on_disconnect: DisconnectMode = DisconnectMode.CONTINUE
    on_completion: Literal["delete", "keep"] = "delete"
    if_not_exists: Literal["reject", "create"] = "reject"
    user_id: str | None = None
    idempotency_key: str | None = Field(None, min_length=1, max_length=MAX_KEY)
    webhook: str | None = None
    after_seconds: float | None = Field(None, ge=0, le=MAX_DELAY_S)
    interrupt_before: tuple[str, ...] | Literal["*"] | None = None
    interrupt_after: tuple[str, ...] | Literal["*"] | None = None
    checkpoint: dict[str, Any] | None = None
    checkpoint_id: str | None = None
    durability: Literal["sync", "async", "exit"] | None = None


class RunRecord(Frozen):
    """One run as it is known, with its input.

    Attributes:
        executor: Which job queue serves the run.
        kwargs: What the executor needs: input, command, config, context, stream modes.
        attempt: The number of the newest execution; 0 before the first.
        worker: Which worker has or had it last.
        error: Why it failed, when the status is ``error`` or ``timeout``.
        outputs: The id of the event that carries the final values.
        model_name: The model that it called last, where that told its name.
        usage: The tokens that its models counted, over its last execution.
        due_at: When it may begin, if that is later than its creation.
        webhook: Where the run is told of when it has ended.
    """

    run_id: str
    thread_id: str
    assistant_id: str | None
    executor: str
    user_id: str | None = None
    status: RunStatus = RunStatus.PENDING
    on_disconnect: DisconnectMode = DisconnectMode.CONTINUE
    on_completion: Literal["delete", "keep"] = "keep"
    multitask_strategy: MultitaskStrategy = MultitaskStrategy.ENQUEUE
    metadata: dict[str, Any] = Field(default_factory=dict)
    kwargs: dict[str, Any] = Field(default_factory=dict)
    attempt: int = 0
    worker: str | None = None
    error: RunFault | None = None
    outputs: str | None = None
    model_name: str | None = None
    usage: TokenUsage | None = None
    webhook: str | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    due_at: AwareDatetime | None = None

    @property
    def result(self) -> "Result":
        """What the run has come to so far."""
        return Result(self.status, self.outputs, self.error)

    def _become(self, status: RunStatus, **changes: Any) -> Self:
        if status not in LEGAL_TRANSITIONS[self.status]:
            raise IllegalTransitionError(self.run_id, self.status, status)
        return self.model_copy(update={"status": status, "updated_at": now(), **changes})

    def running(self, worker: str, attempt: int) -> Self:
        """Return the record of the run once ``worker`` executes its ``attempt``.

        Raises:
            IllegalTransitionError: The run has finished.
        """
        started = {"worker": worker, "attempt": attempt, "started_at": self.started_at or now()}
        if self.status is RunStatus.RUNNING:
            return self.model_copy(update={"updated_at": now(), **started})
        return self._become(RunStatus.RUNNING, **started)

    def ended(self, outcome: "Outcome", at: datetime) -> Self:
        """Return the record of the run once its log is sealed.

        Args:
            outcome: What the terminal event says.
            at: The terminal event's time.

        Raises:
            IllegalTransitionError: The run has finished already.
        """
        facts = {
            "outputs": outcome.outputs,
            "error": outcome.error,
            "model_name": outcome.model_name,
            "usage": outcome.usage,
            "ended_at": at,
        }
        if (
            self.status is RunStatus.PENDING
            and outcome.status not in LEGAL_TRANSITIONS[self.status]
        ):
            # Its worker died, or lost the connection, before it could say that it had begun.
            return self.running(self.worker or "unknown", max(1, self.attempt)).ended(outcome, at)
        return self._become(outcome.status, **facts)


class Result(NamedTuple):
    """What who waits for a run is told: its status, where its values are, or why it failed."""

    status: RunStatus
    outputs: str | None = None
    error: RunFault | None = None


class Outcome(NamedTuple):
    """How a run ended.

    Attributes:
        status: The final status.
        outputs: The id of the event that carries the final values.
        error: Why it failed.
        is_interrupted: Whether it succeeded up to a point at which it waits for an answer.
        model_name: The model that it called last.
        usage: The tokens that its models counted.
    """

    status: RunStatus
    outputs: str | None = None
    error: RunFault | None = None
    is_interrupted: bool = False
    model_name: str | None = None
    usage: TokenUsage | None = None
