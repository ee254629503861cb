"""Let ended runs of a memory log go in time, and end those that were abandoned."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Final

from bridge.events import Terminal, timestamp
from bridge.lifecycle import terminal_event
from bridge.memory.log import MemoryLog
from bridge.memory.run_log import RunLog
from bridge.memory.settings import MemorySettings
from bridge.retention.run_holders import RunHolders
from bridge.retention.seal import first_kept

_LOG = logging.getLogger("jetrun.retention")

#: Runs that are looked at without giving way to others.
_STEP: Final = 100


class MemorySweep:
    """Looks at all runs of a log; the same rules as for the durable one.

    Args:
        log: All runs.
        settings: The times.
        holders: Who holds runs.
        writer: The mark of the bridge that sweeps.
    """

    def __init__(
        self, log: MemoryLog, settings: MemorySettings, holders: RunHolders, writer: str
    ) -> None:
        self._log = log
        self._settings = settings
        self._holders = holders
        self._writer = writer

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            await asyncio.sleep(self._settings.sweep_interval_s)
            runs = self._log.runs()
            for start in range(0, len(runs), _STEP):
                part = runs[start : start + _STEP]
                self._let_go(part)
                try:
                    await self._end_abandoned(part)
                except Exception:  # noqa: BLE001 - of the holders' other side; other runs need their sweep
                    _LOG.exception("retention.visit.failed")
                await asyncio.sleep(0)

    def _let_go(self, runs: Iterable[RunLog]) -> None:
        for run in runs:
            if run.terminal is not None and self._may_leave(run):
                kept = first_kept(run.terminal).run_seq
                self._log.trim(run, max(1, run.last.run_seq - kept + 1))

    def _may_leave(self, run: RunLog) -> bool:
        limits, age_s = self._settings, run.silent_s
        if age_s >= limits.max_age_s:
            return True
        if run.readers:
            return False
        return age_s >= limits.terminal_ttl_s or run.unread_s >= limits.orphan_timeout_s

    async def _end_abandoned(self, runs: Iterable[RunLog]) -> None:
        silent = {run.run: (run, run.last) for run in runs if self._is_silent(run)}
        if not silent:
            return
        held = await self._holders.find_held(list(silent))
        for ref, (run, newest) in silent.items():
            if ref.run_id in held:
                continue
            facts = {"reason": await self._holders.explain(ref), "timestamp": timestamp()}
            if run.last is not newest or run.terminal is not None:
                continue
            event = terminal_event(Terminal.DEAD_LETTER, facts)
            self._log.append(run, [event], self._writer)
            await self._holders.settle(ref)

    def _is_silent(self, run: RunLog) -> bool:
        limits = self._settings
        allowed_s = (
            limits.awaiting_input_timeout_s if run.awaits_input else limits.no_publish_timeout_s
        )
        return run.terminal is None and run.silent_s >= allowed_s
