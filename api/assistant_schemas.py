"""What clients send about assistants, in the form of the LangGraph platform."""

from typing import Any, Literal

from pydantic import Field

from api.schemas import Body, Config, JsonObject, Name, Page
from runs import AssistantVersion


class AssistantCreate(Body):
    """The body of ``POST /assistants``."""

    graph_id: Name
    assistant_id: str | None = None
    if_exists: Literal["raise", "do_nothing"] | None = None
    name: Name | None = None
    description: str | None = None
    config: Config = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None

    def first(self) -> AssistantVersion:
        """Return the first version."""
        return AssistantVersion(
            graph_id=self.graph_id,
            name=self.name or "Untitled",
            description=self.description,
            config=self.config or {},
            context=self.context or {},
            metadata=self.metadata or {},
        )


class AssistantPatch(Body):
    """The body of ``PATCH /assistants/{assistant_id}``; what is left out stays."""

    graph_id: Name | None = None
    name: Name | None = None
    description: str | None = None
    config: Config = None
    context: JsonObject | None = None
    metadata: JsonObject | None = None

    def changes(self) -> dict[str, Any]:
        """Return what the next version has instead."""
        return self.model_dump(exclude_none=True)


class AssistantDelete(Body):
    """The query of ``DELETE /assistants/{assistant_id}``."""

    delete_threads: bool = False


class AssistantFilter(Body):
    """The body of ``POST /assistants/count``, and what it shares with a search."""

    graph_id: str | None = None
    name: str | None = None
    metadata: JsonObject | None = None


class AssistantSearch(AssistantFilter, Page):
    """The body of ``POST /assistants/search``."""

    sort_by: Literal["assistant_id", "graph_id", "name", "created_at", "updated_at"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    select: tuple[Name, ...] | None = None


class VersionSearch(Page):
    """The body of ``POST /assistants/{assistant_id}/versions``."""

    metadata: JsonObject | None = None


class VersionChoice(Body):
    """The body of ``POST /assistants/{assistant_id}/latest``."""

    version: int = Field(ge=1)


class DrawingQuery(Body):
    """The query of ``GET /assistants/{assistant_id}/graph``."""

    xray: int | bool = False


class SubgraphsQuery(Body):
    """The query of ``GET /assistants/{assistant_id}/subgraphs``."""

    recurse: bool = False
