"""Answers that are waited for, by token: one inbox subscription serves every request."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from nats.aio.msg import Msg

from bridge.errors import AccessDeniedError, BridgeError


class SilenceError(BridgeError):
    """A request got no answer. Internal: callers retry, or turn it into UnavailableError."""

    code = "silence"
    retryable = True

    def __init__(self, *, sent: bool) -> None:
        super().__init__("no answer; the request " + ("may have been done" if sent else "was lost"))
        self.sent: Final = sent


class Inbox(asyncio.Future[Msg]):
    """Hands each message of a subscription over as soon as it is parsed.

    nats-py 2.16 gives the messages of a subscription made with a future to its ``set_result``, one
    and all, where a callback would get them from a task behind a queue: one switch less.

    Args:
        handle: Gets each message. It must not raise: the connection would stop reading.
    """

    def __init__(self, handle: Callable[[Msg], None]) -> None:
        super().__init__()
        self._handle = handle

    def set_result(self, message: Msg, /) -> None:
        """Hand a message over; the future itself is never done."""
        self._handle(message)


class ReplyStream:
    """Many answers to one request, in the order they came."""

    def __init__(self, token: str, subject: str, owner: "Replies") -> None:
        self.subject = subject
        self._token = token
        self._owner = owner
        self._messages: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._failure: BridgeError | None = None

    def push(self, message: Msg) -> None:
        """Add one answer."""
        self._messages.append(message)
        self._wake.set()

    def fail(self, error: BridgeError) -> None:
        """Say that no further answer will come."""
        self._failure = error
        self._wake.set()

    def close(self) -> None:
        """Forget the request; late answers are dropped."""
        self._owner.forget(self._token)

    async def take(self, timeout_s: float) -> list[Msg]:
        """Return all answers that are there, at least one.

        Raises:
            SilenceError: None came within ``timeout_s``, or the connection broke.
            AccessDeniedError: The server does not let this user ask.
        """
        if not self._messages and self._failure is None:
            self._wake.clear()
            try:
                async with asyncio.timeout(timeout_s):
                    await self._wake.wait()
            except TimeoutError as error:
                raise SilenceError(sent=True) from error
        if not self._messages:
            raise self._failure or SilenceError(sent=True)
        messages = list(self._messages)
        self._messages.clear()
        return messages


class Replies:
    """Who waits for which answer.

    Args:
        timeout_s: Seconds that each single answer is waited for.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        # Python 3.11 asks the system for the process's id each time that it is asked for the loop.
        self._loop = asyncio.get_running_loop()
        # In the order of their deadlines, because all wait equally long.
        self._single: dict[str, tuple[asyncio.Future[Msg], float, str]] = {}
        self._many: dict[str, ReplyStream] = {}
        self._watch: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        """How many requests wait for an answer, or for many."""
        return len(self._single) + len(self._many)

    def expect(self, token: str, subject: str) -> asyncio.Future[Msg]:
        """Wait for one answer; the future fails with SilenceError when none comes in time.

        Args:
            token: Who waits.
            subject: What is asked; see :meth:`refuse`.
        """
        future = self._loop.create_future()
        deadline = self._loop.time() + self._timeout_s
        self._single[token] = future, deadline, subject
        if self._watch is None:
            # One timer for all that wait: one for each would be started and stopped per request.
            self._watch = self._loop.call_at(deadline, self._fail_late)
        return future

    def _fail_late(self) -> None:
        self._watch = None
        for future, deadline, _ in self._single.values():
            if deadline > self._loop.time():
                self._watch = self._loop.call_at(deadline, self._fail_late)
                return
            _fail(future, SilenceError(sent=True))

    def expect_many(self, token: str, subject: str) -> ReplyStream:
        """Wait for many answers to what is asked at ``subject``."""
        stream = self._many[token] = ReplyStream(token, subject, self)
        return stream

    def forget(self, token: str) -> None:
        """Stop waiting."""
        if self._single.pop(token, None) is None:
            self._many.pop(token, None)

    def deliver(self, message: Msg) -> None:
        """Hand an answer to whoever waits for it; late ones are dropped."""
        token = message.subject.rsplit(".", 1)[1]
        single = self._single.get(token)
        if single is not None:
            if not single[0].done():
                single[0].set_result(message)
        elif (stream := self._many.get(token)) is not None:
            stream.push(message)

    def fail_all(self) -> None:
        """Tell everybody that the connection broke; the server may have acted all the same."""
        for future, _, _ in self._single.values():
            _fail(future, SilenceError(sent=True))
        for stream in self._many.values():
            stream.fail(SilenceError(sent=True))

    def refuse(self, subject: str) -> None:
        """Tell those who asked at a subject, in whatever case, that they may not."""
        for future, _, asked in self._single.values():
            if asked.lower() == subject.lower():
                _fail(future, _denied(asked))
        for stream in self._many.values():
            if stream.subject.lower() == subject.lower():
                stream.fail(_denied(stream.subject))


def _denied(subject: str) -> AccessDeniedError:
    return AccessDeniedError(f"this user may publish nothing to {subject}")


def _fail(future: asyncio.Future[Msg], error: BridgeError) -> None:
    if not future.done():
        future.set_exception(error)
        future.exception()  # whoever waited may have gone; the error is then nobody's
