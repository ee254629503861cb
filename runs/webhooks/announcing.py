"""Keep in mind that a run's webhook is to be called: a record, and a place in a job queue.

Both are written after the run's log is sealed and its record is final, and before its thread lets
go of it. A crash in between leaves the run in the thread, so that whoever settles it does this
again; a record that is there already is left as it is.
"""

from contextlib import suppress
from typing import Final

from bridge import AlreadyQueuedError, RunBridge, StateConflictError, encode_json
from runs.models import RunRecord
from runs.webhooks.record import WebhookRecord, WebhookStatus

#: Longer than the name of any assistant, so that no assistant can have the same queue.
LINE: Final = "webhooks-that-are-about-to-be-called"
#: The kind of record.
WEBHOOK: Final = "webhook"


class Webhooks:
    """The calls that are to be made, and what became of them."""

    def __init__(self, bridge: RunBridge) -> None:
        self._bridge = bridge

    async def announce(self, run: RunRecord) -> None:
        """Have the webhook of a run called that has just ended; without one, do nothing.

        Raises:
            BridgeError: It could not be stored; call again, the call is idempotent.
        """
        if run.webhook is None:
            return
        try:
            value = WebhookRecord.announced(run).encode()
            await self._bridge.states.create(WEBHOOK, run.run_id, value)
        except StateConflictError:
            known = await self.find(run.run_id)
            if known is None or known.status is not WebhookStatus.PENDING:
                return
        with suppress(AlreadyQueuedError):
            payload = encode_json({"thread_id": run.thread_id})
            await self._bridge.jobs.put(LINE, run.run_id, payload)

    async def find(self, run_id: str) -> WebhookRecord | None:
        """Return what is known of the call; ``None`` before the run's end, and without webhook."""
        found = await self._bridge.states.find(WEBHOOK, run_id)
        return None if found is None else WebhookRecord.decode(found.value)

    async def find_open(self, run_id: str) -> tuple[WebhookRecord, int] | None:
        """Return a call that is to be made and the revision of its record, or ``None``."""
        found = await self._bridge.states.find(WEBHOOK, run_id)
        if found is None:
            return None
        record = WebhookRecord.decode(found.value)
        return (record, found.revision) if record.status is WebhookStatus.PENDING else None

    async def update(self, record: WebhookRecord, revision: int) -> int:
        """Store what has changed, and return the new revision.

        Raises:
            StateConflictError: Somebody else has changed it.
        """
        value = record.encode()
        return await self._bridge.states.update(WEBHOOK, record.run_id, value, revision=revision)

    async def forget_closed(self, run_id: str) -> None:
        """Remove the record of a run that is deleted, unless its call is still to be made.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        found = await self._bridge.states.find(WEBHOOK, run_id)
        if found is None:
            return
        if WebhookRecord.decode(found.value).status is WebhookStatus.PENDING:
            return  # whoever makes the call removes it
        with suppress(StateConflictError):  # somebody else has removed it
            await self._bridge.states.delete(WEBHOOK, run_id, revision=found.revision)
