"""What clients send about threads, in the form of the LangGraph platform."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from api.errors import ContradictoryOptionsError
from api.schemas import Body, JsonObject, Name, Page, RunCommand, Times, none_if_empty
from runs import ThreadQuery, ThreadStatus
from runs.time_to_live import MAX_TTL_S, Strategy, TimeToLive

_MINUTE_S: Final = 60.0


class StepUpdate(Body):
    """What one node does in a step of :class:`SuperStep`."""

    values: Any = None
    command: Annotated[RunCommand | None, BeforeValidator(none_if_empty)] = None
    as_node: Name | None = None


class SuperStep(Body):
    """One step that a new thread begins with."""

    updates: Annotated[tuple[StepUpdate, ...], Field(min_length=1, max_length=1000)]


class Ttl(Body):
    """How long a thread stays that nobody changes, in minutes."""

    ttl: float = Field(gt=0, le=MAX_TTL_S / _MINUTE_S)
    strategy: Strategy = "delete"

    def value(self) -> TimeToLive:
        """Return it as run control has it."""
        return TimeToLive(ttl_s=self.ttl * _MINUTE_S, strategy=self.strategy)


def _ttl_of_minutes(value: object) -> object:
    """Take a bare number as the SDKs do."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {"ttl": value} if is_number else value


ThreadTtl = Annotated[Ttl | None, BeforeValidator(_ttl_of_minutes)]


class ThreadCreate(Body):
    """The body of ``POST /threads``."""

    thread_id: str | None = None
    metadata: JsonObject | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    supersteps: Annotated[tuple[SuperStep, ...], Field(max_length=1000)] | None = None
    ttl: ThreadTtl = None

    def steps(self) -> list[list[JsonObject]]:
        """Return the updates of each step.

        Raises:
            ContradictoryOptionsError: The thread may be there already.
        """
        if self.supersteps and self.if_exists == "do_nothing":
            raise ContradictoryOptionsError("supersteps", "if_exists 'do_nothing'")
        return [
            [update.model_dump(exclude_unset=True) for update in step.updates]
            for step in self.supersteps or ()
        ]


class ThreadsPrune(Body):
    """The body of ``POST /threads/prune``."""

    thread_ids: Annotated[tuple[str, ...], Field(max_length=1000)]
    strategy: Literal["delete", "keep_latest"] = "delete"


class ThreadPatch(Body):
    """The body of ``PATCH /threads/{thread_id}``."""

    metadata: JsonObject | None = None
    ttl: ThreadTtl = None


class ThreadGet(Body):
    """The query of ``GET /threads/{thread_id}``, lists already split."""

    include: tuple[Literal["ttl"], ...] = ()


class ThreadFilter(Times):
    """The body of ``POST /threads/count``, and what it shares with a search."""

    metadata: JsonObject | None = None
    ids: Annotated[tuple[str, ...], Field(max_length=1000)] | None = None
    status: ThreadStatus | None = None
    values: Any = None

    def query(self) -> ThreadQuery:
        """Return what run control is asked for.

        Raises:
            UnsupportedOptionError: An option is set that nothing honours.
        """
        self.refuse("values")
        return ThreadQuery(
            metadata=self.metadata or {}, ids=self.ids, status=self.status, **self.times()
        )


class ThreadSearch(ThreadFilter, Page):
    """The body of ``POST /threads/search``."""

    sort_by: Literal["thread_id", "status", "created_at", "updated_at", "state_updated_at"] = (
        "updated_at"
    )
    sort_order: Literal["asc", "desc"] = "desc"
    select: tuple[Name, ...] | None = None
    extract: Any = None

    def query(self) -> ThreadQuery:
        """Return what run control is asked for.

        Raises:
            UnsupportedOptionError: An option is set that nothing honours.
        """
        self.refuse("extract")
        sort_by = "updated_at" if self.sort_by == "state_updated_at" else self.sort_by
        order = {"sort_by": sort_by, "is_descending": self.sort_order == "desc"}
        return super().query().model_copy(update=order)
