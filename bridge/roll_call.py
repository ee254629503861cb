"""Ask every process which of some runs it has in its hands, and gather who answers at once.

A core NATS request to all: nothing is stored, and nobody has to write down what he holds, nor that
he has let go. An answer is at most once. A process that is cut off does not answer, so silence is
never proof by itself.
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import orjson
from nats.aio.msg import Msg

from bridge.connection import Connection
from bridge.coordination import Present
from bridge.errors import UnavailableError
from bridge.replies import SilenceError

#: Answers come within milliseconds; a busy process gets this long.
_ANSWER_S: Final = 1.0
#: Who asks for one run again and again does so after this time.
_ASK_AGAIN_S: Final = 0.25
_PAUSE_S: Final = 0.05
MAX_RUNS: Final = 512


class RollCall:
    """One question to all processes that answer on a subject; a :class:`Holders` for one of them.

    Args:
        connection: An open connection.
        subject: Where it is asked.
    """

    def __init__(self, connection: Connection, subject: str) -> None:
        self._connection = connection
        self._subject = subject

    @asynccontextmanager
    async def answer(self, present: Present) -> AsyncGenerator[None]:
        """Answer for this process for the length of a context.

        Args:
            present: Returns those of some run ids that this process has; it must not block.
        """

        async def on_message(message: Msg) -> None:
            found = present(orjson.loads(message.data))
            if found and message.reply:
                with suppress(SilenceError):  # whoever asks then decides without this answer
                    self._connection.publish(message.reply, orjson.dumps(list(found)))

        subscription = await self._connection.subscribe(self._subject, on_message)
        with suppress(SilenceError):  # the server is away: it hears of it when it comes back
            await self._connection.flush()
        try:
            yield
        finally:
            await self._connection.unsubscribe(subscription)

    async def ask(self, run_ids: Sequence[str]) -> set[str]:
        """Return those run ids that some process claimed within a second.

        Args:
            run_ids: Any number; 512 are asked for at one time.

        Raises:
            UnavailableError: The server is away.
        """
        found: set[str] = set()
        for start in range(0, len(run_ids), MAX_RUNS):
            found |= await self._ask(run_ids[start : start + MAX_RUNS], _ANSWER_S)
        return found

    async def is_claimed(self, run_id: str, *, within_s: float) -> bool:
        """Ask for one run again and again until some process claims it; else it is a no.

        Args:
            run_id: The run.
            within_s: Seconds that an answer is waited for. A process whose connection has just been
                cut needs some of it to come back; so may this one.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (left_s := deadline - loop.time()) > 0:
            if await self._connection.wait_connected(left_s):
                with suppress(UnavailableError):  # it has just gone: wait for it
                    if await self._ask([run_id], min(left_s, _ASK_AGAIN_S)):
                        return True
                await asyncio.sleep(min(left_s, _PAUSE_S))
        return False

    async def _ask(self, run_ids: Sequence[str], within_s: float) -> set[str]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        found: set[str] = set()
        inbox, replies = self._connection.open_replies(self._subject)
        try:
            self._connection.publish(self._subject, orjson.dumps(list(run_ids)), reply=inbox)
            while len(found) < len(run_ids) and (left_s := deadline - loop.time()) > 0:
                for answer in await replies.take(left_s):
                    if not answer.data:  # nobody listens
                        return found
                    found.update(orjson.loads(answer.data))
        except SilenceError as silence:
            if not silence.sent or not self._connection.is_connected:
                raise UnavailableError("asking all processes") from silence
        finally:
            replies.close()
        return found
