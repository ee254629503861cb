"""Hold a run's end back until its record and its thread say the same.

Clients read the state the moment they see the end. Whoever executed the run writes the state right
after the terminal event; when it does not, because it died in between, the gateway does.
"""

import asyncio
from functools import partial
from typing import Final

from runs import RunNotFoundError, RunsFacade, ThreadNotFoundError

_FIRST_PAUSE_S: Final = 0.001
_MAX_PAUSE_S: Final = 0.05


class Settling:
    """Waits for the state of ended runs; readers of the same run share one wait.

    Args:
        facade: Run control.
        settle_after_s: Seconds that are left to the run's worker before we write the state.
    """

    def __init__(self, facade: RunsFacade, settle_after_s: float) -> None:
        self._facade = facade
        self._settle_after_s = settle_after_s
        self._waits: dict[str, asyncio.Task[None]] = {}

    async def wait(self, thread_id: str, run_id: str) -> None:
        """Return once record and thread are final; the run's log must have been sealed.

        Raises:
            UnavailableError: The server fell silent; the end must not be shown.
        """
        wait = self._waits.get(run_id)
        if wait is None:
            wait = asyncio.create_task(self._settle(thread_id, run_id))
            self._waits[run_id] = wait
            wait.add_done_callback(partial(self._forget, run_id))
        # The wait belongs to all who read the run: one who leaves must not end it.
        await asyncio.shield(wait)

    async def _settle(self, thread_id: str, run_id: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._settle_after_s
        pause_s = _FIRST_PAUSE_S
        try:
            while not await self._is_final(thread_id, run_id):
                if loop.time() >= deadline:
                    await self._facade.settle(thread_id, run_id)
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _MAX_PAUSE_S)
        except (RunNotFoundError, ThreadNotFoundError):
            # Deleted meanwhile: nothing is left that could disagree with the end.
            return

    async def _is_final(self, thread_id: str, run_id: str) -> bool:
        record = await self._facade.get_run(thread_id, run_id)
        if not record.status.is_final:
            return False
        thread = await self._facade.get_thread(thread_id)
        return not thread.has_inflight(run_id)

    def _forget(self, run_id: str, wait: asyncio.Task[None]) -> None:
        del self._waits[run_id]
        if not wait.cancelled():
            wait.exception()  # a failure nobody waits for any more is no news
