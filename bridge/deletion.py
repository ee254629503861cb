"""Delete a run's events for good: one message takes their place and keeps late writers out.

The marker replaces everything on the run's subject at once, under the same compare-and-set as any
other event. Whoever publishes later finds it and stops; whoever follows the run ends. It goes by
itself once no writer of the run can be alive any more.
"""

from typing import Final

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError, Stored
from bridge.events import DELETED, StreamEvent
from bridge.lifecycle import deleted_event
from bridge.publication import DECIDE_BY_READING, FULL, publish_once
from bridge.replies import SilenceError
from bridge.run_log import RunLog

_WRITER: Final = "deletion"
_THIS_SUBJECT: Final = "sub"


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


def _marker(newest: StreamEvent, expected: int, ttl_s: float) -> tuple[bytes, dict[str, str]]:
    event = deleted_event()
    total = newest.total_bytes + len(event.payload)
    headers = {
        **wire.encode_headers(event, newest.run_seq + 1, total, _WRITER),
        wire.EXPECTED_SUBJECT_SEQUENCE: str(expected),
        wire.ROLLUP: _THIS_SUBJECT,
        wire.TTL: f"{max(1, round(ttl_s))}s",
    }
    return event.payload, headers
