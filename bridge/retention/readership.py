"""Which runs are being read at this moment, in any process.

Whoever follows a run is subscribed to its live subject, and the server tells at once when nobody
is. What is left are subscribers; only readers say so when they are asked, so that somebody who
listens to everything does not keep everything.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from bridge.connection import Connection
from bridge.errors import UnavailableError
from bridge.replies import SilenceError
from bridge.roll_call import RollCall
from bridge.subjects import RunRef, Subjects

#: The server answers for nobody within a round trip.
_NOBODY_S: Final = 0.5


class Readership:
    """Asks who reads.

    Args:
        connection: An open connection.
        subjects: Spells the live subjects.
        readers: Asks the processes.
    """

    def __init__(self, connection: Connection, subjects: Subjects, readers: RollCall) -> None:
        self._connection = connection
        self._subjects = subjects
        self._readers = readers

    async def find_read(self, runs: Sequence[RunRef]) -> set[str]:
        """Return the ids of those runs that somebody reads.

        Args:
            runs: At most some hundreds: they are asked for at one time.

        Raises:
            UnavailableError: The server is away.
        """
        if not self._connection.is_connected:
            raise UnavailableError("asking who reads")
        asking = {asyncio.create_task(self._has_nobody(run)): run.run_id for run in runs}
        _, subscribed = await asyncio.wait(asking, timeout=_NOBODY_S)
        for task in subscribed:
            task.cancel()
        heard = {task for task in asking if task.done() and not task.result()}
        if not self._connection.is_connected:
            raise UnavailableError("asking who reads")
        maybe = [asking[task] for task in (*subscribed, *heard)]
        return await self._readers.ask(maybe) if maybe else set()

    async def _has_nobody(self, run: RunRef) -> bool:
        try:
            await self._connection.request(self._subjects.live(run), b"")
        except SilenceError as silence:
            return not silence.sent
        return False
