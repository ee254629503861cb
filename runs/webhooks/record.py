"""What is known of the call of one run's webhook."""

from enum import StrEnum

from pydantic import AwareDatetime

from runs.models import Frozen, RunRecord, now


class WebhookStatus(StrEnum):
    """How far the call of a webhook has come."""

    WAITING = "waiting"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class WebhookRecord(Frozen):
    """The call of one run's webhook.

    Attributes:
        status: ``waiting`` for the run's end, then ``pending`` until it is delivered, or has
            failed for good.
        attempts: How many calls were begun; a call that a crash cut off counts.
        error: What the last call met, without the address; ``None`` when it was delivered.
        run: The run as it ended, without its input; ``None`` once nothing is to be sent any more.
    """

    run_id: str
    thread_id: str
    status: WebhookStatus = WebhookStatus.WAITING
    attempts: int = 0
    error: str | None = None
    run: RunRecord | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime

    @classmethod
    def waiting(cls, run: RunRecord) -> "WebhookRecord":
        """Return what is known before the run has ended."""
        return cls(
            run_id=run.run_id,
            thread_id=run.thread_id,
            created_at=run.created_at,
            updated_at=run.updated_at,
        )

    @classmethod
    def announced(cls, run: RunRecord) -> "WebhookRecord":
        """Return the record of a run that has just ended.

        Its input stays out. So this is smaller than the run's own record, and always fits.
        """
        at = now()
        return cls(
            run_id=run.run_id,
            thread_id=run.thread_id,
            status=WebhookStatus.PENDING,
            run=run.model_copy(update={"kwargs": {}}),
            created_at=at,
            updated_at=at,
        )

    def begun(self) -> "WebhookRecord":
        """Return the record of one more call under way."""
        return self.model_copy(update={"attempts": self.attempts + 1, "updated_at": now()})

    def met(self, error: str) -> "WebhookRecord":
        """Return the record after a call that is to be repeated."""
        return self.model_copy(update={"error": error, "updated_at": now()})

    def delivered(self) -> "WebhookRecord":
        """Return the record after the receiver took the call."""
        return self._closed(WebhookStatus.DELIVERED, None)

    def failed(self, error: str | None) -> "WebhookRecord":
        """Return the record once nobody calls any more."""
        return self._closed(WebhookStatus.FAILED, error)

    def _closed(self, status: WebhookStatus, error: str | None) -> "WebhookRecord":
        changes = {"status": status, "error": error, "run": None, "updated_at": now()}
        return self.model_copy(update=changes)
