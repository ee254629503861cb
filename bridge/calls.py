"""Ask one of the processes that answer to a name, and get one answer of any size.

A core NATS request to a queue group: nothing is stored. What nobody has received is asked again,
for as long as the caller gives it; what somebody may have received is asked again only where the
caller says that doing it twice is harmless.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final

from nats.aio.msg import Msg

from bridge.connection import Connection
from bridge.errors import NoAnswerError
from bridge.ids import check_id
from bridge.replies import SilenceError
from bridge.subjects import Subjects
from bridge.wire import encode_headers

#: Of an answer in one message; larger ones are sent in several.
_PART_BYTES: Final = 512 << 10
_PART: Final = "Call-Part"
_PARTS: Final = "Call-Parts"
#: Whoever was asked may hang; another one may be free.
_ASK_AGAIN_S: Final = 2.0
_PAUSE_S: Final = 0.05
_GROUP: Final = "answers"

Answer = Callable[[bytes], Awaitable[bytes]]


class CallChannel:
    """Asks and answers by name.

    Args:
        connection: An open connection.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, subjects: Subjects) -> None:
        self._connection = connection
        self._subjects = subjects

    async def ask(
        self, name: str, question: bytes, *, within_s: float, is_repeatable: bool
    ) -> bytes:
        """Ask one of those who answer to ``name``.

        Args:
            name: One subject token.
            question: What is asked; one message.
            within_s: Seconds that an answer is waited for, processes that restart included.
            is_repeatable: Whether it may be done twice.

        Raises:
            NoAnswerError: Nobody answered; it says whether it may have been done.
            EventTooLargeError: The question exceeds the server's limit for one message.
        """
        subject = self._subjects.call(check_id("name", name))
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (left_s := deadline - loop.time()) > 0:
            patience_s = min(left_s, _ASK_AGAIN_S) if is_repeatable else left_s
            try:
                return await self._ask(subject, question, patience_s)
            except SilenceError as silence:
                if silence.sent and not is_repeatable:
                    raise NoAnswerError(name, within_s, may_be_done=True) from silence
                await asyncio.sleep(min(left_s, _PAUSE_S))
        raise NoAnswerError(name, within_s, may_be_done=False)

    async def _ask(self, subject: str, question: bytes, patience_s: float) -> bytes:
        inbox, replies = self._connection.open_replies(subject)
        parts: list[bytes] = []
        try:
            self._connection.publish(subject, question, reply=inbox)
            while True:
                for message in await replies.take(patience_s):
                    headers = message.headers or {}
                    if _PARTS not in headers:  # nobody listens
                        raise SilenceError(sent=False)
                    if int(headers[_PART]) != len(parts):
                        raise SilenceError(sent=True)  # a part was lost
                    parts.append(message.data)
                    if len(parts) == int(headers[_PARTS]):
                        return b"".join(parts)
        finally:
            replies.close()

    @asynccontextmanager
    async def answering(
        self, name: str, answer: Answer, *, max_at_once: int
    ) -> AsyncGenerator[None]:
        """Answer to ``name`` for the length of a context; what is under way at its end is dropped.

        Args:
            name: One subject token.
            answer: Gives the answer; it must not raise.
            max_at_once: Questions in hand; further ones wait, or go to others.
        """
        room = asyncio.Semaphore(max_at_once)
        under_way: set[asyncio.Task[None]] = set()

        async def on_message(message: Msg) -> None:
            await room.acquire()
            task = asyncio.create_task(self._reply(message, answer))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            task.add_done_callback(lambda _: room.release())

        subject = self._subjects.call(check_id("name", name))
        subscription = await self._connection.subscribe(subject, on_message, group=_GROUP)
        try:
            yield
        finally:
            await self._connection.unsubscribe(subscription)
            for task in under_way:
                task.cancel()
            if under_way:
                await asyncio.wait(under_way)

    async def _reply(self, message: Msg, answer: Answer) -> None:
        content = await answer(message.data)
        count = max(1, -(-len(content) // _PART_BYTES))
        with suppress(SilenceError):  # whoever asks then hears nothing, and knows that
            for number in range(count):
                part = content[number * _PART_BYTES : (number + 1) * _PART_BYTES]
                headers = encode_headers({_PART: str(number), _PARTS: str(count)})
                self._connection.publish(message.reply, part, headers=headers)
                await asyncio.sleep(0)
