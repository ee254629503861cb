"""Which crons are looked for, and in which order."""

from typing import Any, Literal

from pydantic import Field

from runs.crons.record import CronRecord
from runs.models import Frozen


class CronQuery(Frozen):
    """What a search is after; what is ``None`` does not matter.

    Attributes:
        assistant: Name or id of the assistant.
        metadata: Top-level fields that must have these values.
        user_id: Who asks; ``None`` sees all.
    """

    assistant: str | None = None
    thread_id: str | None = None
    enabled: bool | None = None
    metadata: dict[str, Any] = Field(default_factory=dict)
    user_id: str | None = None
    sort_by: Literal[
        "cron_id",
        "assistant_id",
        "thread_id",
        "created_at",
        "updated_at",
        "next_run_date",
        "end_time",
    ] = "created_at"
    is_descending: bool = True

    def admits(self, cron: CronRecord) -> bool:
        """Say whether a cron is looked for."""
        metadata = cron.spec.metadata
        return (
            self.user_id in (None, cron.user_id)
            and self.assistant in (None, cron.assistant_id, cron.executor)
            and self.thread_id in (None, cron.thread_id)
            and self.enabled in (None, cron.enabled)
            and all(
                name in metadata and metadata[name] == self.metadata[name] for name in self.metadata
            )
        )

    def ordered(self, crons: list[CronRecord]) -> list[CronRecord]:
        """Return crons in the wanted order; those without a value come last."""
        name = "next_at" if self.sort_by == "next_run_date" else self.sort_by
        valued = [each for each in crons if getattr(each, name) is not None]
        valued.sort(
            key=lambda each: (getattr(each, name), each.cron_id), reverse=self.is_descending
        )
        return valued + [each for each in crons if getattr(each, name) is None]
