"""A named consumer that hands out stored messages, to be acknowledged one by one.

The server remembers the position. Several processes that open the same name share the work. A
message that is not acknowledged in time is handed out again.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

import nats.errors
import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bridge import wire
from bridge.connection import Connection
from bridge.errors import (
    ApiError,
    BridgeClosedError,
    ConsumerDriftError,
    ConsumerLimitError,
    ConsumerNotFoundError,
    NewerVersionError,
    UnavailableError,
)
from bridge.replies import SilenceError

_LOG = logging.getLogger(__name__)

CONSUMER_EXISTS: Final = frozenset({10148, 10105, 10013})
#: The consumer does not exist, or its stream does not.
CONSUMER_GONE: Final = frozenset({10014, 10059})
LIMIT_REACHED: Final = frozenset({10026})
#: Fields of a configuration that an existing consumer need not share.
_OWN_BUSINESS: Final = frozenset({"inactive_threshold"})
#: How long the server holds a request for messages before it must be renewed.
PULL_EXPIRES_S: Final = 5.0
#: Seconds beyond that after which a silent request is taken for lost.
_GRACE_S: Final = 2.0
#: So many messages of the largest size may come at one time, whatever their number.
MAX_PULL_MESSAGES: Final = 2
_RETRY_S: Final = 0.2
#: Wait for what is on its way when a consumer closes.
_CLOSE_S: Final = 2.0
NANOSECONDS: Final = 1_000_000_000
#: How long a message that this process cannot read stays away before it is looked at again.
UNREADABLE_PAUSE_S: Final = 60.0
_IDLE_HEARTBEAT: Final = "100"
_USED_UP: Final = frozenset({"404", "408"})

ACK: Final = b"+ACK"
NAK: Final = b"-NAK"
TERM: Final = b"+TERM"
IN_PROGRESS: Final = b"+WPI"


def nak_verb(delay_s: float) -> bytes:
    """Return what gives a message back for ``delay_s`` seconds."""
    return NAK + b' {"delay": %d}' % int(delay_s * NANOSECONDS) if delay_s > 0 else NAK


class PulledMessage:
    """One message to handle and acknowledge.

    Attributes:
        deliveries: How often it was handed out, as far as the server remembers.
        stream_seq: Its sequence in the stream.
        consumer_seq: How many messages the consumer had handed out with it; without holes.
    """

    __slots__ = ("_connection", "consumer_seq", "deliveries", "message", "stream_seq")

    def __init__(self, connection: Connection, message: Msg) -> None:
        self._connection = connection
        self.message = message
        # $JS.ACK.[domain.hash.]stream.consumer.deliveries.stream_seq.consumer_seq.time.pending
        tokens = message.reply.split(".")
        first = 4 if len(tokens) < _DOMAIN_TOKENS else 6
        self.deliveries = int(tokens[first])
        self.stream_seq = int(tokens[first + 1])
        self.consumer_seq = int(tokens[first + 2])

    async def acknowledge(self, verb: bytes) -> None:
        """Tell the server what became of the message; lost while disconnected: it comes again."""
        self.settle(verb)

    def settle(self, verb: bytes) -> None:
        """Do what :meth:`acknowledge` does; nothing has to be waited for."""
        with suppress(SilenceError):
            self._connection.publish(self.message.reply, verb)


_DOMAIN_TOKENS: Final = 11


class PullConsumer:
    """Fetches from one durable consumer; :meth:`open` it before.

    Args:
        connection: An open connection.
        stream: The stream's name.
        config: The consumer's configuration; ``durable_name`` is its name.
        keep: Renew what waits here for the next :meth:`fetch`, so that nobody else gets it.
    """

    def __init__(
        self,
        connection: Connection,
        stream: str,
        config: Mapping[str, Any],
        *,
        keep: bool = False,
    ) -> None:
        self._connection = connection
        self._stream = stream
        self._config = config
        self._name = config["durable_name"]
        self._subscription: Subscription | None = None
        self._inbox = connection.new_inbox()
        self._waiting: deque[Msg] = deque()
        self._wake = asyncio.Event()
        self._request_number = 0
        self._outstanding = 0
        self._received = 0
        self._renew_at = 0.0
        self._is_doubtful = False
        self._declines = False
        self._keep_s = config["ack_wait"] / NANOSECONDS / 3 if keep else None
        self._keeping: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()

    async def open(self) -> None:
        """Make the consumer when it is absent, verify it otherwise.

        Raises:
            ConsumerDriftError: It exists with another configuration; it was not changed.
            ConsumerLimitError: The stream has as many consumers as it may have.
            UnavailableError: The server fell silent.
        """
        await self._ensure()
        # Messages keep their own subject; only a subscription of its own tells whose they are.
        self._subscription = await self._connection.listen(f"{self._inbox}.*", self._on_message)
        self._connection.add_listener(self._on_disturbance)
        if self._keep_s is not None:
            self._keeping = asyncio.create_task(self._keep(self._keep_s))

    async def _keep(self, every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            if not self._connection.is_open:
                return
            for message in tuple(self._waiting):
                await PulledMessage(self._connection, message).acknowledge(IN_PROGRESS)

    async def _ensure(self) -> None:
        subject = f"$JS.API.CONSUMER.DURABLE.CREATE.{self._stream}.{self._name}"
        body = {"stream_name": self._stream, "config": self._config, "action": "create"}
        try:
            await self._connection.api(subject, body)
        except ApiError as error:
            if error.err_code in LIMIT_REACHED:
                raise ConsumerLimitError(self._name) from error
            if error.err_code not in CONSUMER_EXISTS:
                raise
            verify(self._name, self._config, (await self._find())["config"])

    async def _find(self) -> dict[str, Any]:
        """Return what the server knows of the consumer.

        Raises:
            ConsumerNotFoundError: Nothing, for it is not there.
        """
        return await find_consumer(self._connection, self._stream, self._name)

    async def close(self) -> None:
        """Stop asking, and give back what was not fetched.

        What was fetched and not acknowledged is handed out again later.
        """
        self._connection.remove_listener(self._on_disturbance)
        if self._keeping is not None:
            self._keeping.cancel()
        if self._subscription is not None:
            await self._drain(self._subscription)
        if self._connection.is_open:
            while self._waiting:
                message = self._waiting.popleft()
                await PulledMessage(self._connection, message).acknowledge(NAK)

    async def _drain(self, subscription: Subscription) -> None:
        """End the interest, and take in what is on its way: it can be given back at once."""
        # The connection may be gone, and the interest with it.
        with suppress(nats.errors.Error, TimeoutError, OSError, RuntimeError):
            async with asyncio.timeout(_CLOSE_S):
                await subscription.drain()  # type: ignore[no-untyped-call]

    async def fetch(
        self, max_messages: int, *, wait_s: float, ask: int | None = None
    ) -> list[PulledMessage]:
        """Return what is there, at least one message, or none after ``wait_s`` seconds.

        Args:
            max_messages: At most so many.
            wait_s: Seconds to wait for the first one; 0: what the server has now. An outage of the
                server counts as waiting.
            ask: How many the server may send ahead; None: ``max_messages``.

        Raises:
            ConsumerNotFoundError: The consumer was deleted; nothing will come any more.
        """
        if not wait_s and len(self._waiting) < max_messages:
            await self._look(max_messages - len(self._waiting))
        deadline = self._loop.time() + wait_s
        while not self._waiting:
            left_s = deadline - self._loop.time()
            if left_s <= 0:
                return []
            await self._wait(ask or max_messages, left_s)
        count = min(max_messages, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(count)]
        return [PulledMessage(self._connection, message) for message in taken]

    async def decline_until(self, ready: asyncio.Event) -> None:
        """Give back at once what still comes of earlier requests, until ``ready`` is set."""
        self._declines = True
        try:
            while self._waiting:
                message = self._waiting.popleft()
                await PulledMessage(self._connection, message).acknowledge(NAK)
            await ready.wait()
        finally:
            self._declines = False

    async def _wait(self, max_messages: int, left_s: float) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(left_s):
                if await self._connection.wait_connected(left_s):
                    if self._is_doubtful:
                        await self._find()
                        self._is_doubtful = False
                    await self._ask(max_messages)
                    await self._wake.wait()
        except (SilenceError, UnavailableError, TimeoutError):
            return

    async def _look(self, max_messages: int) -> None:
        """Take in what the server has now, in one go: each that is awaited costs a wake-up."""
        if self._stands or self._is_doubtful or not self._connection.is_connected:
            return
        with suppress(SilenceError, TimeoutError):
            async with asyncio.timeout(_GRACE_S):
                self._request(max_messages, expires_s=0.0)
                while self._outstanding > 0:
                    self._wake.clear()
                    await self._wake.wait()

    async def _ask(self, max_messages: int) -> None:
        """Ask for messages, unless an earlier request still stands."""
        if not self._stands:
            self._request(max_messages, expires_s=PULL_EXPIRES_S)

    @property
    def _stands(self) -> bool:
        """Whether an earlier request still brings messages."""
        return self._outstanding > 0 and self._loop.time() < self._renew_at

    def _request(self, max_messages: int, *, expires_s: float) -> None:
        self._request_number += 1
        self._outstanding = max_messages
        self._received = 0
        self._renew_at = self._loop.time() + expires_s + _GRACE_S
        body = {
            "batch": max_messages,
            "max_bytes": MAX_PULL_MESSAGES * self._connection.max_payload,
            **({"expires": int(expires_s * NANOSECONDS)} if expires_s else {"no_wait": True}),
        }
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{self._name}"
        inbox = f"{self._inbox}.{self._request_number}"
        self._connection.publish(subject, orjson.dumps(body), reply=inbox)

    def _on_message(self, message: Msg) -> None:
        if message.headers and "Status" in message.headers:
            if message.subject == f"{self._inbox}.{self._request_number}":
                self._on_status(message.headers["Status"])
        else:
            self._outstanding -= 1
            self._received += 1
            if self._declines:
                with suppress(BridgeClosedError):
                    PulledMessage(self._connection, message).settle(NAK)
                return
            self._waiting.append(message)
            self._wake.set()

    def _on_status(self, status: str) -> None:
        if status == _IDLE_HEARTBEAT:
            return
        self._outstanding = 0
        if status in _USED_UP or self._received:  # as many bytes as a request may bring
            self._wake.set()
        else:  # no leader yet, or the consumer is gone: asking again at once would spin
            self._is_doubtful = True
            self._loop.call_later(_RETRY_S, self._wake.set)

    def _on_disturbance(self) -> None:
        """Ask again: the server forgot the request, or messages were dropped here."""
        self._outstanding = 0
        self._wake.set()


async def open_shared(
    connection: Connection,
    stream: str,
    name: str,
    subject: str,
    *,
    lease_s: float,
    max_in_progress: int,
) -> PullConsumer:
    """Open what processes share the messages of a subject by, however often one comes again.

    Args:
        connection: An open connection.
        stream: The stream's name.
        name: The consumer's; all processes use the same.
        subject: What it hands out.
        lease_s: Seconds after which a message that was not acknowledged is handed out again.
        max_in_progress: Messages in hand above which no more are handed out.

    Raises:
        ConsumerDriftError: It exists with another configuration; it was not changed.
        ConsumerLimitError: The stream has as many consumers as it may have.
        UnavailableError: The server fell silent.
    """
    config = {
        "durable_name": name,
        "filter_subject": subject,
        "ack_policy": "explicit",
        "ack_wait": int(lease_s * NANOSECONDS),
        "max_ack_pending": max_in_progress,
        "max_deliver": -1,
    }
    consumer = PullConsumer(connection, stream, config)
    await consumer.open()
    return consumer


async def without_newer(pulled: Sequence[PulledMessage]) -> list[PulledMessage]:
    """Give back what a newer version has stored, for 60 s, and return the rest.

    Neither is a handler shown what it would misread, nor is it taken from a process that reads it.
    """
    known: list[PulledMessage] = []
    for each in pulled:
        try:
            wire.check_version(each.message.headers, f"message on {each.message.subject}")
        except NewerVersionError as error:
            _LOG.error("consumer.message.newer", extra={"error": str(error)})
            await each.acknowledge(nak_verb(UNREADABLE_PAUSE_S))
        else:
            known.append(each)
    return known


async def find_consumer(connection: Connection, stream: str, name: str) -> dict[str, Any]:
    """Return what the server knows of a consumer.

    Raises:
        ConsumerNotFoundError: It is not there.
        UnavailableError: The server fell silent.
    """
    try:
        return await connection.api(f"$JS.API.CONSUMER.INFO.{stream}.{name}")
    except ApiError as error:
        if error.err_code in CONSUMER_GONE:
            raise ConsumerNotFoundError(name) from error
        raise


async def list_consumers(connection: Connection, stream: str) -> list[dict[str, Any]]:
    """Return what the server knows of each consumer of a stream.

    Raises:
        ApiError: There is no such stream.
        UnavailableError: The server fell silent.
    """
    found: list[dict[str, Any]] = []
    while True:
        answer = await connection.api(f"$JS.API.CONSUMER.LIST.{stream}", {"offset": len(found)})
        page = answer.get("consumers") or []
        found += page
        if not page or len(found) >= answer["total"]:
            return found


def verify(name: str, wanted: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    """Compare what a consumer must be with what it is.

    Raises:
        ConsumerDriftError: They differ; the error names the field.
    """
    for field, value in wanted.items():
        actual = found.get(field, type(value)())
        if isinstance(value, Mapping):  # the server adds entries of its own
            verify(name, value, actual)
        elif field not in _OWN_BUSINESS and actual != value:
            raise ConsumerDriftError(name, field, value, actual)
