"""What clients send to find runs."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from api.schemas import MAX_NAME, JsonObject, Name, Page, Times, listed
from runs import RunQuery, RunStatus

_Statuses = Annotated[tuple[RunStatus, ...], Field(max_length=6)]
Statuses = Annotated[
    _Statuses, BeforeValidator(listed, json_schema_input_type=RunStatus | _Statuses)
]
Text = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]


class RunList(Page):
    """The query of ``GET /threads/{thread_id}/runs``."""

    status: RunStatus | None = None

    def query(self) -> RunQuery:
        """Return what run control is asked for, in whichever thread."""
        return RunQuery(statuses=None if self.status is None else (self.status,))


class RunFilter(Times):
    """The body of ``POST /runs/count``, and what it shares with a search."""

    metadata: JsonObject | None = None
    ids: Annotated[tuple[str, ...], Field(max_length=1000)] | None = None
    thread_id: str | None = None
    assistant_id: Name | None = None
    user_id: str | None = None
    status: Statuses | None = None
    text: Text | None = None

    def asked_by(self, sees: str | None) -> RunQuery:
        """Return what run control is asked for by a caller.

        Args:
            sees: Whose runs the caller sees; ``None`` sees everybody's. Who asks for another
                user's finds nothing.
        """
        query = self.query()
        if sees is None or self.user_id in (None, sees):
            return query.model_copy(update={"user_id": sees or self.user_id})
        return query.model_copy(update={"user_id": sees, "ids": ()})

    def query(self) -> RunQuery:
        """Return what is asked for, of everybody's runs."""
        return RunQuery(
            metadata=self.metadata or {},
            ids=self.ids,
            thread_id=self.thread_id,
            assistant=self.assistant_id,
            statuses=self.status,
            text=self.text,
            **self.times(),
        )


class RunSearch(RunFilter, Page):
    """The body of ``POST /runs/search``."""

    sort_by: Literal["run_id", "status", "created_at", "updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"

    def query(self) -> RunQuery:
        """Return what is asked for, of everybody's runs, in order."""
        order = {"sort_by": self.sort_by, "is_descending": self.sort_order == "desc"}
        return super().query().model_copy(update=order)
