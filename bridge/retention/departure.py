"""Let an ended run leave the log altogether; how it ended stays known, and it stays ended.

First its terminal event is kept among the seals, then the log lets go what it holds. A crash in
between leaves both, which is no contradiction: the log is asked first.
"""

import logging

from bridge.coordination import StateRecords
from bridge.event_log import EventLog
from bridge.events import StreamEvent
from bridge.seals import Seals
from bridge.state import REF

_LOG = logging.getLogger("jetrun.retention")


class Departure:
    """Lets runs leave.

    Args:
        log: The events of all runs.
        states: Says which runs were deleted.
        seals: Keeps what is left of runs that have left.
    """

    def __init__(self, log: EventLog, states: StateRecords, seals: Seals) -> None:
        self._log = log
        self._states = states
        self._seals = seals

    async def remove(self, terminal: StreamEvent) -> None:
        """Let a run leave; idempotent.

        What was stored behind its terminal event stays: the marker of a deletion.

        Args:
            terminal: The run's last event. Where there is an archive, it holds the run up to it.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        run = terminal.run
        await self._seals.keep(terminal)
        if await self._states.is_deleted(REF, run.run_id):
            await self._seals.forget(run)  # it was deleted since it was looked at
        await self._log.run(run).purge(below_seq=terminal.event_id.stream_seq + 1)
        _LOG.info("retention.removed", extra={"run_id": run.run_id})
