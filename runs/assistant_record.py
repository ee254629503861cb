"""What is stored of an assistant that a client made: defaults of runs, in versions."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import AwareDatetime, Field

from runs.errors import AssistantVersionNotFoundError
from runs.models import Frozen, RunSpec, now


class AssistantVersion(Frozen):
    """One version; it never changes.

    Attributes:
        version: Counts from 1.
        graph_id: The name of the declared assistant that executes its runs.
        name: What people call it.
        description: What it is for.
        config: Defaults of its runs' configuration.
        context: Defaults of their context.
        metadata: Defaults of their metadata.
        created_at: When it was made.
    """

    version: int = 1
    graph_id: str
    name: str
    description: str | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    context: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, Any] = Field(default_factory=dict)
    created_at: AwareDatetime = Field(default_factory=now)

    def filled(self, spec: RunSpec) -> RunSpec:
        """Return what is asked for, with defaults where it says nothing; what it says wins."""
        config = {**self.config, **spec.config}
        if self.config.get("configurable") or spec.config.get("configurable"):
            config["configurable"] = {
                **(self.config.get("configurable") or {}),
                **(spec.config.get("configurable") or {}),
            }
        changes: dict[str, Any] = {
            "config": config,
            "metadata": {**self.metadata, **spec.metadata},
        }
        if self.context:
            changes["context"] = {**self.context, **(spec.context or {})}
        return spec.model_copy(update=changes)


class AssistantRecord(Frozen):
    """An assistant that a client made.

    Attributes:
        assistant_id: Its id.
        user_id: Its owner; None where there is no authentication.
        latest: The version that new runs take.
        versions: The oldest first; the oldest ones may be gone.
        created_at: When it was made.
        updated_at: When it last changed.
    """

    assistant_id: str
    user_id: str | None = None
    latest: int = 1
    versions: tuple[AssistantVersion, ...]
    created_at: AwareDatetime = Field(default_factory=now)
    updated_at: AwareDatetime = Field(default_factory=now)

    @property
    def current(self) -> AssistantVersion:
        """The version that new runs take."""
        return next(each for each in self.versions if each.version == self.latest)

    def changed(self, changes: Mapping[str, Any], max_versions: int) -> Self:
        """Return this with one more version, which new runs take.

        Args:
            changes: Fields that the new version has instead; of ``metadata`` only those named.
            max_versions: Kept, this one included; beyond it the oldest go.
        """
        number = self.versions[-1].version + 1
        metadata = {**self.current.metadata, **(changes.get("metadata") or {})}
        facts = {**changes, "metadata": metadata, "version": number, "created_at": now()}
        version = self.current.model_copy(update=facts)
        kept = (*self.versions, version)[-max_versions:]
        return self.model_copy(
            update={"versions": kept, "latest": number, "updated_at": version.created_at}
        )

    def at(self, version: int) -> Self:
        """Return this with another version for new runs.

        Raises:
            AssistantVersionNotFoundError: There is none, or no more.
        """
        if all(each.version != version for each in self.versions):
            raise AssistantVersionNotFoundError(self.assistant_id, version)
        return self.model_copy(update={"latest": version, "updated_at": now()})
