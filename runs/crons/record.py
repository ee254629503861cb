"""One cron as it is stored."""

from datetime import datetime
from typing import Self

from pydantic import AwareDatetime

from runs.crons.schedule import Schedule
from runs.models import Frozen, RunSpec


class CronRecord(Frozen):
    """What fires when, and which runs it creates.

    Attributes:
        executor: The assistant's name.
        timezone: Where the schedule is read; ``None`` is UTC.
        end_time: It does not fire later.
        spec: What every run of it is created from.
        next_at: When it fires next; ``None`` when it does not: it is disabled, or over.
    """

    cron_id: str
    assistant_id: str
    executor: str
    schedule: str
    timezone: str | None = None
    end_time: AwareDatetime | None = None
    enabled: bool = True
    spec: RunSpec
    next_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @property
    def thread_id(self) -> str | None:
        """The thread of its runs; ``None`` when each has one of its own."""
        return self.spec.thread_id

    @property
    def user_id(self) -> str | None:
        """Its owner."""
        return self.spec.user_id

    def planned(self, after: datetime) -> Self:
        """Return the cron with its first firing after an instant."""
        next_at = None
        if self.enabled:
            next_at = Schedule(self.schedule, self.timezone).next_after(after)
        if next_at is not None and self.end_time is not None and next_at > self.end_time:
            next_at = None
        return self.model_copy(update={"next_at": next_at})

    def due_run(self) -> RunSpec:
        """Return what the firing at ``next_at`` creates, the same whoever asks, and how often."""
        assert self.next_at is not None  # noqa: S101 - nobody fires what does not
        at = self.next_at.isoformat()
        once = f"cron {self.cron_id} {at}"
        metadata = {**self.spec.metadata, "cron_id": self.cron_id, "cron_run_date": at}
        return self.spec.model_copy(update={"idempotency_key": once, "metadata": metadata})
