"""Nudges, "look at this run's state now", and probes, "does anybody execute this run?".

At most once. The truth about a run is its state and its log.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from nats.aio.msg import Msg

from bridge.connection import Connection
from bridge.ids import check_id
from bridge.replies import SilenceError
from bridge.subjects import Subjects

#: An answer that has not come by then was lost, or its worker is coming back.
_ASK_AGAIN_S: Final = 0.25
_PAUSE_S: Final = 0.05


class ControlChannel:
    """Sends and hears nudges.

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, subjects: Subjects) -> None:
        self._connection = connection
        self._subjects = subjects

    async def nudge(self, run_id: str) -> None:
        """Ask whoever executes the run to look at its state; lost while disconnected."""
        with suppress(SilenceError):
            self._connection.publish(self._subjects.control(check_id("run_id", run_id)), b"")

    async def is_executed(self, run_id: str, *, within_s: float) -> bool:
        """Ask all workers whether one of them executes the run; nobody's answer is a no.

        Args:
            run_id: The run.
            within_s: Seconds that an answer is waited for. A worker whose connection has just been
                cut needs some of it to come back.
        """
        subject = self._subjects.control(check_id("run_id", run_id))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (left_s := deadline - loop.time()) > 0:
            if await self._connection.wait_connected(left_s) and await self._ask(subject, left_s):
                return True
        return False

    async def _ask(self, subject: str, left_s: float) -> bool:
        inbox, replies = self._connection.open_replies()
        try:
            self._connection.publish(subject, b"", reply=inbox)
            answers = await replies.take(min(left_s, _ASK_AGAIN_S))
        except SilenceError:
            await asyncio.sleep(min(left_s, _PAUSE_S))
            return False
        finally:
            replies.close()
        if any(not answer.headers for answer in answers):
            return True
        await asyncio.sleep(min(left_s, _PAUSE_S))  # nobody listens at this moment
        return False

    @asynccontextmanager
    async def listen(self, callback: Callable[[str], None]) -> AsyncGenerator[None]:
        """Call ``callback`` with a run_id at each nudge; it must not block."""

        async def on_message(message: Msg) -> None:
            callback(message.subject.rsplit(".", 1)[1])

        subscription = await self._connection.subscribe(self._subjects.all_controls, on_message)
        try:
            yield
        finally:
            await self._connection.unsubscribe(subscription)
