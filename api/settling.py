"""Hold a run's end back until its record and its thread say the same.

Clients read the state the moment they see the end. Whoever executed the run writes the state right
after the terminal event; when it does not, because it died in between, the gateway does.
"""

import asyncio
from contextlib import suppress
from functools import partial

from runs import RunNotFoundError, RunsFacade


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
        # Rolled back or deleted meanwhile: nothing is left that could disagree with the end.
        with suppress(RunNotFoundError):
            await self._facade.wait_settled(thread_id, run_id, within_s=self._settle_after_s)

    def _forget(self, run_id: str, wait: asyncio.Task[None]) -> None:
        del self._waits[run_id]
        if not wait.cancelled():
            wait.exception()  # a failure nobody waits for any more is no news
