"""Delete a run's events for good: one message takes their place and keeps late writers out.

The marker replaces everything on the run's subject at once, under the same compare-and-set as any
other event. Whoever publishes later finds it and stops; whoever follows the run ends. It goes by
itself once no writer of the run can be alive any more.
"""

from typing import Final

from bridge import wire
from bridge.connection import Connection
from bridge.dead_letters import DeadLetters
from bridge.errors import ApiError, Stored, StreamNotFoundError
from bridge.event_log import EventLog
from bridge.events import DELETED, StreamEvent
from bridge.lifecycle import deleted_event
from bridge.publication import DECIDE_BY_READING, FULL, publish_once
from bridge.replies import SilenceError
from bridge.run_log import RunLog
from bridge.run_refs import RunRefs
from bridge.seals import Seals
from bridge.subjects import RunRef

_WRITER: Final = "deletion"
_THIS_SUBJECT: Final = "sub"


class Deletion:
    """Deletes runs, wherever something of them is kept.

    Args:
        connection: An open connection.
        log: The events of all runs.
        refs: Says whose a run is, and which were deleted.
        seals: Keeps what is left of runs that have left the log.
        dead_letters: What consumers gave up of runs.
        ttl_s: Seconds that a marker stays; longer than any writer of the run can live.
    """

    def __init__(
        self,
        connection: Connection,
        log: EventLog,
        refs: RunRefs,
        seals: Seals,
        dead_letters: DeadLetters,
        *,
        ttl_s: float,
    ) -> None:
        self._connection = connection
        self._log = log
        self._refs = refs
        self._seals = seals
        self._dead_letters = dead_letters
        self._ttl_s = ttl_s

    async def delete(self, run_id: str) -> None:
        """Forget a run's events; see :meth:`StreamBridge.cleanup`."""
        ref = await self._refs.find_record(run_id)
        if ref is None:
            if await self._refs.is_deleted(run_id):
                return
            raise StreamNotFoundError(run_id)
        run_log = self._log.run(RunRef(ref.value.decode(), run_id))
        await delete_events(self._connection, run_log, ttl_s=self._ttl_s)
        await self._seals.forget(run_log.run)
        await self._dead_letters.forget(run_log.run)
        # The marker keeps those out who are on their way; this one all who come after it has gone.
        await self._refs.delete(ref)


async def delete_events(connection: Connection, log: RunLog, *, ttl_s: float) -> None:
    """Replace all events of a run by the marker ``deleted``; idempotent.

    Args:
        connection: An open connection.
        log: The run.
        ttl_s: Seconds that the marker stays; longer than any writer of the run can live.

    Raises:
        StreamNotFoundError: There is nothing of the run.
        UnavailableError: The server fell silent; call again.
    """
    outage = connection.outage(f"deleting run {log.run.run_id}")
    while True:
        newest, expected = await log.newest()
        if newest.event == DELETED:
            return
        try:
            await publish_once(connection, log.subject, *_marker(newest, expected, ttl_s))
        except SilenceError as silence:
            await outage.wait(Stored.UNKNOWN if silence.sent else Stored.NO)
        except ApiError as error:
            if error.err_code in FULL:
                # What is deleted makes the room that its marker needs.
                await log.purge(keep=1)
                await outage.wait()
            elif error.err_code not in DECIDE_BY_READING:
                raise


def _marker(newest: StreamEvent, expected: int, ttl_s: float) -> tuple[bytes, bytes]:
    event = deleted_event()
    total = newest.total_bytes + len(event.payload)
    demands = {wire.ROLLUP: _THIS_SUBJECT, wire.TTL: f"{max(1, round(ttl_s))}s"}
    headers = (
        wire.encode_event(event, newest.run_seq + 1, total, _WRITER)
        + wire.encode_expected(expected)
        + wire.encode_headers(demands)
    )
    return event.payload, headers
