"""The assistants that are declared: names, ids, and where their functions are.

Built from settings alone; no user code is imported here, so a gateway may hold a catalog.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal
from uuid import UUID, uuid5

from runs.errors import AssistantNotFoundError
from runs.settings import AssistantSettings

#: The LangGraph server makes assistant ids in this namespace: the same name has the same id here.
NAMESPACE: Final = UUID("6ba7b821-9dad-11d1-80b4-00c04fd430c8")

BUILT_IN: Final[Mapping[str, AssistantSettings]] = MappingProxyType(
    {
        "echo": AssistantSettings(
            function="runs.assistants.echo:echo",
            description="Streams its input back, or as many events as it is asked for",
        ),
        "passages": AssistantSettings(
            function="runs.assistants.passages:passages",
            description="Answers a question about a text from its own passages",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Assistant:
    """One assistant. ``name`` is also the name of its job queue."""

    name: str
    assistant_id: str
    description: str
    function: str
    kind: Literal["function", "graph"]
    on_worker_lost: Literal["dead_letter", "restart"]
    max_attempts: int
    timeout_s: float | None

    @property
    def is_graph(self) -> bool:
        """Whether a graph executes its runs, and not a function."""
        return self.kind == "graph"

    @property
    def may_restart(self) -> bool:
        """Whether a run may be executed again; a graph goes on from its last checkpoint."""
        return self.on_worker_lost == "restart"

    @classmethod
    def declared(cls, name: str, settings: AssistantSettings) -> "Assistant":
        """Make an assistant from its settings; the same name always gets the same id."""
        assistant_id = str(uuid5(NAMESPACE, name))
        facts = settings.model_dump()
        if settings.on_worker_lost is None:
            facts["on_worker_lost"] = "restart" if settings.kind == "graph" else "dead_letter"
        return cls(name=name, assistant_id=assistant_id, **facts)


class AssistantCatalog:
    """All assistants of a deployment, by name and by id.

    Args:
        declared: What users declare; a built-in assistant of the same name gives way.
    """

    def __init__(self, declared: Mapping[str, AssistantSettings] | None = None) -> None:
        settings = {**BUILT_IN, **(declared or {})}
        self._by_name = {name: Assistant.declared(name, settings[name]) for name in settings}
        self._by_id = {each.assistant_id: each for each in self._by_name.values()}

    def __iter__(self) -> Iterator[Assistant]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all assistants, sorted."""
        return tuple(sorted(self._by_name))

    def find(self, assistant_id: str) -> Assistant | None:
        """Return the assistant with this name or id, or ``None``."""
        return self._by_name.get(assistant_id) or self._by_id.get(assistant_id)

    def get(self, assistant_id: str) -> Assistant:
        """Return the assistant with this name or id.

        Raises:
            AssistantNotFoundError: Nobody declared it.
        """
        found = self.find(assistant_id)
        if found is None:
            raise AssistantNotFoundError(assistant_id)
        return found
