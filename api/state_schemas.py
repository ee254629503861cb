"""What clients send about a thread's state, in the form of the LangGraph platform."""

from typing import Any

from pydantic import Field

from api.schemas import Body, JsonObject, Name, OptionalObject


class StateQuery(Body):
    """The query of the routes that show a state."""

    subgraphs: bool = False


class StateAt(StateQuery):
    """The body of ``POST /threads/{thread_id}/state/checkpoint``."""

    checkpoint: JsonObject
    select: tuple[Name, ...] | None = None


class StateUpdate(Body):
    """The body of ``POST /threads/{thread_id}/state``."""

    values: Any = None
    as_node: Name | None = None
    checkpoint: OptionalObject = None
    checkpoint_id: Name | None = None

    @property
    def place(self) -> JsonObject:
        """Where in the thread's history the update is made; empty means at its newest state."""
        own = {} if self.checkpoint_id is None else {"checkpoint_id": self.checkpoint_id}
        return {**(self.checkpoint or {}), **own}


class HistoryPage(Body):
    """The query of ``GET /threads/{thread_id}/history``."""

    limit: int = Field(1, ge=1, le=1000)
    before: Name | None = None


class HistoryQuery(Body):
    """The body of ``POST /threads/{thread_id}/history``."""

    limit: int = Field(1, ge=1, le=1000)
    before: Name | JsonObject | None = None
    checkpoint: JsonObject | None = None
    metadata: JsonObject | None = None
    select: tuple[Name, ...] | None = None

    @property
    def place_before(self) -> JsonObject | None:
        """The checkpoint before which the history is read, in one form."""
        if self.before is None or isinstance(self.before, dict):
            return (self.before or {}).get("configurable", self.before)
        return {"checkpoint_id": self.before}
