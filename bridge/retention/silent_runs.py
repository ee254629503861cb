"""End runs that fell silent and are in nobody's hands, so that whoever waits for them gets an end.

Silence alone proves nothing: a tool may take an hour. A run is ended when it has published nothing
for the time that it is allowed, nobody holds it, and that was found repeatedly. The terminal
is appended behind the very event that was the newest: a run that publishes meanwhile goes on.
"""

import asyncio
import logging
from collections import OrderedDict
from datetime import UTC, datetime
from uuid import uuid4

from bridge.awaiting import AwaitingInput
from bridge.connection import Connection
from bridge.event_log import EventLog
from bridge.events import Terminal, timestamp
from bridge.flight import Flight, Head
from bridge.landing import Landing
from bridge.lifecycle import terminal_event
from bridge.retention.run_holders import RunHolders
from bridge.retention.survey import Sighting, Survey
from bridge.settings import RetentionSettings
from bridge.subjects import RunRef

_LOG = logging.getLogger("jetrun.retention")


class SilentRuns:
    """Visits live runs, and ends those that were abandoned.

    Args:
        connection: An open connection.
        log: The events of all runs.
        survey: Finds the runs.
        awaiting: Tells which runs wait for their user.
        holders: Tells which runs are in somebody's hands.
        settings: How long a run may be silent.
        max_remembered: Runs of which it is remembered that nobody held them.
    """

    def __init__(  # noqa: PLR0913 - the collaborators of one sweep; made in one place
        self,
        connection: Connection,
        log: EventLog,
        survey: Survey,
        *,
        awaiting: AwaitingInput,
        holders: RunHolders,
        settings: RetentionSettings,
        max_remembered: int,
    ) -> None:
        self._connection = connection
        self._log = log
        self._survey = survey
        self._awaiting = awaiting
        self._holders = holders
        self._settings = settings
        self._max_remembered = max_remembered
        self._writer = f"sweep-{uuid4().hex[:12]}"
        # The newest event of runs that nobody held, and when that was found first.
        self._unheld: OrderedDict[RunRef, tuple[int, float]] = OrderedDict()

    async def visit(self, shard: str) -> None:
        """Look at the runs of one shard, and end those that were abandoned; linear in them.

        Raises:
            BridgeError: Something could not be known; what is left is done at the next visit.
        """
        async for page in self._survey.shard(shard):
            silent = {
                sighting.run: sighting for sighting in page if await self._is_silent(sighting)
            }
            if not silent:
                continue
            held = await self._holders.find_held(list(silent))
            for run, sighting in silent.items():
                if run.run_id in held:
                    self._unheld.pop(run, None)
                elif self._is_abandoned(run, sighting):
                    await self._end(run, sighting)

    async def _is_silent(self, sighting: Sighting) -> bool:
        limits = self._settings
        silent_s = (datetime.now(UTC) - sighting.stored_at).total_seconds()
        if sighting.newest.is_terminal or silent_s < limits.no_publish_timeout_s:
            return False
        if silent_s >= limits.awaiting_input_timeout_s:
            return True
        return not await self._awaiting.is_marked(sighting.newest)

    def _is_abandoned(self, run: RunRef, sighting: Sighting) -> bool:
        now = asyncio.get_running_loop().time()
        seq = sighting.newest.event_id.stream_seq
        known_seq, since = self._unheld.get(run, (0, now))
        if known_seq != seq:
            self._unheld[run] = seq, now
            if len(self._unheld) > self._max_remembered:
                self._unheld.popitem(last=False)
            return False
        return now - since >= self._settings.unheld_grace_s

    async def _end(self, run: RunRef, sighting: Sighting) -> None:
        reason = await self._holders.explain(run)
        facts = {"reason": reason, "timestamp": timestamp()}
        terminal = terminal_event(Terminal.DEAD_LETTER, facts)
        log = self._log.run(run)
        place = Head.of(sighting.newest)
        flight = Flight(log.subject, run.run_id, [terminal], place, self._writer)
        ack = await Landing(self._connection, log, flight, divisible=False).land()
        self._unheld.pop(run, None)
        if ack is None:
            return  # it published something, or was ended, since it was looked at
        _LOG.warning("run.abandoned", extra={"run_id": run.run_id, "reason": reason})
        await self._holders.settle(run)
