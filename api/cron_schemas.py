"""What clients send about crons, in the form of the LangGraph platform."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from api.errors import ContradictoryOptionsError
from api.http_settings import HttpSettings
from api.schemas import (
    MAX_NAME,
    Body,
    Config,
    JsonObject,
    Name,
    NodeNames,
    Page,
    RunCreate,
    StreamModes,
)
from runs import CronQuery, MultitaskStrategy, RunSpec, UnsupportedOptionError


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)


#: The Python SDK sends a time without a zone as it is; it counts as UTC.
Instant = Annotated[datetime, AfterValidator(_aware)]


class CronCreate(RunCreate):
    """The body of ``POST /runs/crons`` and ``POST /threads/{thread_id}/runs/crons``."""

    schedule: Name
    timezone: Name | None = None
    end_time: Instant | None = None
    enabled: bool | None = None
    on_run_completed: Literal["delete", "keep"] | None = None

    def spec(self, thread_id: str | None, defaults: HttpSettings) -> RunSpec:
        """Return what each run is created from; see :meth:`RunCreate.spec`."""
        self.refuse("command", "checkpoint", "checkpoint_id", "after_seconds", "on_completion")
        if thread_id is not None and self.on_run_completed == "delete":
            raise UnsupportedOptionError("on_run_completed")
        # Without its thread a cron is nothing: it goes with it.
        fixed = {"on_completion": self.on_run_completed or "delete", "if_not_exists": "reject"}
        return super().spec(thread_id, defaults).model_copy(update=fixed)


class CronPatch(Body):
    """The body of ``PATCH /runs/crons/{cron_id}``; what it leaves out stays, ``null`` too.

    Only ``end_time`` can be set to ``null``: then there is none.
    """

    schedule: Name | None = None
    timezone: Name | None = None
    end_time: Instant | None = None
    enabled: bool | None = None
    input: Any = None
    config: Config = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None
    stream_mode: StreamModes | None = None
    stream_subgraphs: bool | None = None
    interrupt_before: NodeNames = None
    interrupt_after: NodeNames = None
    webhook: str | None = None
    durability: Literal["sync", "async", "exit"] | None = None
    multitask_strategy: MultitaskStrategy | None = None
    on_run_completed: Literal["delete", "keep"] | None = None

    def changes(self) -> dict[str, Any]:
        """Return the new values, as run control names them.

        Raises:
            ContradictoryOptionsError: Two options exclude each other.
        """
        if self.context and (self.config or {}).get("configurable"):
            raise ContradictoryOptionsError("config.configurable", "context")
        given = {name: getattr(self, name) for name in type(self).model_fields}
        changes = {name: value for name, value in given.items() if value is not None}
        if "end_time" in self.model_fields_set:
            changes["end_time"] = self.end_time
        if "on_run_completed" in changes:
            changes["on_completion"] = changes.pop("on_run_completed")
        return changes


class CronFilter(Body):
    """The body of ``POST /runs/crons/count``, and what it shares with a search."""

    assistant_id: Name | None = None
    thread_id: Name | None = None
    enabled: bool | None = None
    metadata: JsonObject | None = None

    def query(self) -> CronQuery:
        """Return what run control is asked for."""
        return CronQuery(
            assistant=self.assistant_id,
            thread_id=self.thread_id,
            enabled=self.enabled,
            metadata=self.metadata or {},
        )


Selected = Literal[
    "cron_id",
    "assistant_id",
    "thread_id",
    "end_time",
    "schedule",
    "created_at",
    "updated_at",
    "user_id",
    "payload",
    "next_run_date",
    "metadata",
    "now",
    "timezone",
    "enabled",
    "on_run_completed",
]


class CronSearch(CronFilter, Page):
    """The body of ``POST /runs/crons/search``."""

    sort_by: Literal[
        "cron_id", "assistant_id", "thread_id", "created_at", "updated_at", "next_run_date"
    ] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: Annotated[tuple[Selected, ...], Field(max_length=MAX_NAME)] | None = None

    def query(self) -> CronQuery:
        """Return what run control is asked for."""
        order = {"sort_by": self.sort_by, "is_descending": self.sort_order == "desc"}
        return super().query().model_copy(update=order)
