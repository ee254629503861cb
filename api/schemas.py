"""What clients send to create threads and runs, in the form of the LangGraph platform.

Unknown keys are ignored, because SDKs send some that mean nothing here. A known option that is not
honoured is refused by name when it is set: ignoring it would be a silent lie.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    model_validator,
)

from api.errors import ContradictoryOptionsError
from api.http_settings import HttpSettings
from api.stream_modes import StreamMode
from runs import (
    MAX_DELAY_S,
    MAX_KEY,
    CancelAction,
    DisconnectMode,
    MultitaskStrategy,
    RunSpec,
    UnsupportedOptionError,
)

MAX_NAME = 256
#: Above every place in a log; the server counts in 64 bits.
MAX_SEQ = (1 << 63) - 1


def listed(value: object) -> object:
    """Make a list of a single name."""
    return [value] if isinstance(value, str) else value


def none_if_empty(value: object) -> object:
    """Make nothing of what says nothing."""
    return None if value in ([], {}, "") else value


Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
JsonObject = dict[str, Any]


def checked_config(config: JsonObject | None) -> JsonObject | None:
    """Refuse what no configuration may say."""
    limit = (config or {}).get("recursion_limit")
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise ValueError("recursion_limit must be a whole number above 0")
    if not isinstance((config or {}).get("configurable") or {}, dict):
        raise ValueError("configurable must be an object")  # noqa: TRY004 - pydantic takes no TypeError
    return config


Config = Annotated[JsonObject | None, AfterValidator(checked_config)]
StreamModes = Annotated[
    tuple[StreamMode, ...],
    BeforeValidator(listed, json_schema_input_type=StreamMode | tuple[StreamMode, ...]),
]
NodeNames = Annotated[tuple[Name, ...] | Literal["*"] | None, BeforeValidator(none_if_empty)]
OptionalObject = Annotated[JsonObject | None, BeforeValidator(none_if_empty)]


class Body(BaseModel):
    """Base of what is read from clients: immutable, unknown keys ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def refuse(self, *options: str) -> None:
        """Refuse options that are set and that nothing honours.

        Raises:
            UnsupportedOptionError: One of ``options`` is set.
        """
        for option in options:
            if getattr(self, option) not in (None, [], {}, ""):
                raise UnsupportedOptionError(option)


class SendTo(Body):
    """A node to go to, with an input of its own."""

    node: Name
    input: Any = None


class RunCommand(Body):
    """What a run does instead of taking an input."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    update: Any = None
    resume: Any = None
    goto: Name | SendTo | tuple[Name | SendTo, ...] | None = None


class RunCreate(Body):
    """The body of every call that creates a run."""

    assistant_id: Name
    input: Any = None
    command: Annotated[RunCommand | None, BeforeValidator(none_if_empty)] = None
    config: Config = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    stream_mode: StreamModes | None = None
    stream_subgraphs: bool = False
    interrupt_before: NodeNames = None
    interrupt_after: NodeNames = None
    webhook: str | None = None
    checkpoint: OptionalObject = None
    checkpoint_id: Name | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    multitask_strategy: MultitaskStrategy | None = None
    if_not_exists: Literal["reject", "create"] | None = None
    on_disconnect: DisconnectMode | None = None
    on_completion: Literal["delete", "keep"] | None = None
    after_seconds: float | None = Field(None, ge=0, le=MAX_DELAY_S)
    strict_resume: bool = False

    def spec(self, thread_id: str | None, defaults: HttpSettings) -> RunSpec:
        """Return what run control is asked for.

        Args:
            thread_id: The thread; None for a stateless run.
            defaults: What counts where the body is silent.

        Raises:
            UnsupportedOptionError: An option is set that nothing honours.
            ContradictoryOptionsError: Two options exclude each other.
        """
        if self.strict_resume:
            raise UnsupportedOptionError("strict_resume")
        if self.command is not None and self.input not in (None, {}, [], ""):
            raise ContradictoryOptionsError("input", "command")
        if thread_id is None and self.command is not None and self.command.resume is not None:
            raise ContradictoryOptionsError("command.resume", "a run without a thread")
        if thread_id is not None and self.on_completion == "delete":
            raise UnsupportedOptionError("on_completion")
        config = self.config or {}
        if self.context and config.get("configurable"):
            raise ContradictoryOptionsError("config.configurable", "context")
        modes = defaults.stream_modes if self.stream_mode is None else self.stream_mode
        return RunSpec(
            assistant_id=self.assistant_id,
            thread_id=thread_id,
            input=self.input,
            command=None if self.command is None else self.command.model_dump(exclude_unset=True),
            config=config,
            context=self.context,
            metadata=self.metadata or {},
            stream_mode=modes,
            stream_subgraphs=self.stream_subgraphs,
            multitask_strategy=self.multitask_strategy or defaults.multitask_strategy,
            on_disconnect=self.on_disconnect or defaults.on_disconnect,
            on_completion=self.on_completion or "delete",
            if_not_exists=self.if_not_exists or defaults.if_not_exists,
            webhook=self.webhook,
            after_seconds=self.after_seconds,
            interrupt_before=self.interrupt_before,
            interrupt_after=self.interrupt_after,
            checkpoint=self.checkpoint,
            checkpoint_id=self.checkpoint_id,
            durability=self.durability,
        )


class RunHeaders(Body):
    """The headers of every call that creates a run; their names in lower case."""

    idempotency_key: str | None = Field(
        None, alias="idempotency-key", min_length=1, max_length=MAX_KEY
    )


class EventPublish(Body):
    """The body of ``POST /threads/{thread_id}/runs/{run_id}/events``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    event: str
    data: Any
    category: str = "stream"
    metadata: JsonObject | None = None
    event_id: str | None = None


class Page(Body):
    """The query of a list."""

    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10_000_000)


class Times(Body):
    """When something was created and last changed; from the first instant on, up to the second."""

    created_after: AwareDatetime | None = None
    created_before: AwareDatetime | None = None
    updated_after: AwareDatetime | None = None
    updated_before: AwareDatetime | None = None

    def times(self) -> dict[str, Any]:
        """Return the limits that are set."""
        return {name: at for name in Times.model_fields if (at := getattr(self, name)) is not None}


class RecordQuery(Body):
    """The query of the routes that list records."""

    limit: int = Field(50, ge=0, le=1000)
    before_seq: int | None = Field(None, ge=1, le=MAX_SEQ)
    after_seq: int | None = Field(None, ge=0, le=MAX_SEQ)


class EventQuery(RecordQuery):
    """The query of the route that lists records of all categories, ``event_type`` left out."""

    category: Name | None = None


class RunCancel(Body):
    """The query of ``POST /threads/{thread_id}/runs/{run_id}/cancel``."""

    wait: bool = False
    action: CancelAction = CancelAction.INTERRUPT
    reason: str | None = None


class RunsCancelQuery(Body):
    """The query of ``POST /runs/cancel``."""

    action: CancelAction = CancelAction.INTERRUPT


class RunsCancel(Body):
    """The body of ``POST /runs/cancel``: either some runs of a thread, or all that are so."""

    thread_id: str | None = None
    run_ids: Annotated[tuple[str, ...], Field(min_length=1, max_length=1000)] | None = None
    status: Literal["pending", "running", "all"] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.run_ids is None) == (self.status is None):
            raise ValueError("either run_ids or status must be given")
        if self.run_ids is not None and self.thread_id is None:
            raise ValueError("run_ids need thread_id")
        return self


class BatchedRun(RunCreate):
    """One run of ``POST /runs/batch``."""

    thread_id: str | None = None


class RunBatch(RootModel[Annotated[tuple[BatchedRun, ...], Field(min_length=1, max_length=100)]]):
    """The body of ``POST /runs/batch``."""


class RunStream(Body):
    """The query of a call that streams a run."""

    namespace: str | None = None

    def refuse_namespace(self) -> None:
        """Refuse to show parts of a run alone; the empty name is that of the root graph.

        Raises:
            UnsupportedOptionError: It is asked for.
        """
        if self.namespace is not None:
            raise UnsupportedOptionError("namespace")


class RunJoin(RunStream):
    """The query of a call that attaches to a run."""

    cancel_on_disconnect: bool = False
