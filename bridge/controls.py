"""Nudges: "look at this run's state now".

At most once. The truth about a run is its state and its log.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress

from nats.aio.msg import Msg

from bridge.connection import Connection
from bridge.ids import check_id
from bridge.replies import SilenceError
from bridge.subjects import Subjects


class CoreControls:
    """Sends and hears nudges; see :class:`bridge.coordination.ControlChannel`.

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
