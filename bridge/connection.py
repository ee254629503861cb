"""One NATS connection: requests, replies and the news that it broke or came back.

Every wait is bounded. A connection that breaks fails all open requests at once, so that callers
can decide by reading instead of waiting for a time-out. A server that falls silent without closing
the connection is left for another one. Nothing is buffered while disconnected.
"""

import asyncio
import logging
import re
import ssl
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final

import nats
import nats.errors
import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from bridge.access import access_options, wants_tls
from bridge.errors import (
    AccessDeniedError,
    ApiError,
    BridgeClosedError,
    EventTooLargeError,
    UnavailableError,
)
from bridge.nats_client import NatsClient
from bridge.outage import Outage
from bridge.outbound import Outbound, encode_message
from bridge.pulse import Pulse
from bridge.replies import Inbox, Replies, ReplyStream, SilenceError
from bridge.settings import BridgeSettings
from bridge.tracing.setup import find_spans

log = logging.getLogger("jetrun.connection")

#: JetStream answers with this HTTP-like code while a leader is being chosen or starts up.
_TEMPORARY: Final = 503
_NO_RESPONDERS: Final = "503"
#: Wait for the end of a connection that never was one.
_CLOSE_S: Final = 0.5
#: What a server that dies in the middle of a handshake looks like, and a firewall.
_TLS_ENDED: Final = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
#: nats-py 2.16 hands on what the server says in lower case.
_DENIED: Final = re.compile(r'permissions violation for (publish|subscription) (?:to )?"([^"]+)"')

Disturbance = Callable[[], None]


class Connection:
    """A client's connection with its reply inbox.

    Args:
        settings: Where the server is, and how long to wait for it.
        name: How the connection is called in the server's monitoring.

    Attributes:
        losses: How often it broke.
        spans: Traces the events that go through it; ``None``: nothing does.
    """

    def __init__(self, settings: BridgeSettings, *, name: str = "jetrun") -> None:
        self._settings = settings
        self._name = name
        self._client = NatsClient(wants_tls=wants_tls(settings.nats))
        self._outbound = Outbound(self._client)
        self._replies = Replies(settings.log.request_timeout_s)
        self._up = asyncio.Event()
        self._closed = False
        self._opened = False
        self._tokens = count(1)
        self._inbox = ""
        self._listeners: set[Disturbance] = set()
        self._pulse = Pulse(
            self.flush,
            lambda: self._client.stats["in_msgs"],
            self._leave_silent_server,
            every_s=settings.nats.ping_interval_s,
        )
        self._patience: asyncio.Timeout
        self._refusal: str | None = None
        self.losses = 0
        self.spans = find_spans(settings.tracing)

    @property
    def is_open(self) -> bool:
        """Whether the connection was opened and not closed; it may be reconnecting."""
        return self._opened and not self._closed

    @property
    def is_connected(self) -> bool:
        """Whether the server is there at this moment."""
        return self.is_open and self._up.is_set()

    @property
    def is_clustered(self) -> bool:
        """Whether the connected server is one of several."""
        return "cluster" in self._client._server_info  # noqa: SLF001 - not exposed

    @property
    def is_alone(self) -> bool:
        """Whether no other server has a copy of anything: whoever answers knows all there is."""
        return not self.is_clustered and self._settings.log.replicas == 1

    @property
    def unanswered_requests(self) -> int:
        """How many requests wait for an answer."""
        return len(self._replies)

    @property
    def max_payload(self) -> int:
        """The server's limit for one message with its headers, in bytes."""
        return self._client.max_payload

    @property
    def server_version(self) -> str:
        """The version that the connected server announced."""
        return str(self._client._server_info.get("version", "0"))  # noqa: SLF001 - not exposed

    @property
    def has_jetstream(self) -> bool:
        """Whether the connected server announced JetStream."""
        return bool(self._client._server_info.get("jetstream"))  # noqa: SLF001 - not exposed

    async def open(self) -> None:
        """Connect, and subscribe the reply inbox.

        Raises:
            UnavailableError: No server answered within ``connect_timeout_s``.
            AccessDeniedError: The server refused the credentials, or is not to be believed.
            CredentialsUnusableError: They are no credentials; nothing was connected.
        """
        self._refusal = None
        options = self._options()
        try:
            async with asyncio.timeout(self._settings.nats.connect_timeout_s) as self._patience:
                await self._client.connect(**options)
        except (TimeoutError, nats.errors.Error, OSError) as error:
            await self._abandon()
            if self._refusal is not None:
                raise AccessDeniedError(self._refusal) from error
            raise UnavailableError(f"no connection to {self._public_url()}") from error
        self._inbox = self._client.new_inbox()
        await self._client.subscribe(f"{self._inbox}.*", future=Inbox(self._replies.deliver))
        self._opened = True
        self._up.set()
        self._pulse.start()

    async def close(self) -> None:
        """Close at once; open requests fail."""
        self._outbound.flush()
        self._closed = True
        self._up.set()
        self._pulse.stop()
        self._replies.fail_all()
        self._disturb()
        await self._abandon()

    async def _abandon(self) -> None:
        # Without servers to choose from, a reconnect that missed its cancellation ends: wait_for of
        # Python 3.11 can swallow one, and nats-py 2.16 would go on trying for ever.
        self._client._server_pool.clear()  # noqa: SLF001 - no other way
        # nats-py 2.16 can raise a TypeError from close() while it is reconnecting; uvloop a
        # RuntimeError when what is pending is written to the dead connection.
        # After a TLS handshake that failed nobody is told that the connection has closed.
        with suppress(nats.errors.Error, OSError, RuntimeError, TypeError):
            await self._client.close()
            # A client that never got in takes itself for closed and leaves its socket open.
            transport: Any = self._client._transport  # noqa: SLF001 - no other way
            if transport is not None:
                transport.close()
                try:
                    async with asyncio.timeout(_CLOSE_S):
                        await transport.wait_closed()
                except TimeoutError:
                    self._outbound.abort()

    def _options(self) -> dict[str, Any]:
        nats_settings = self._settings.nats
        urls = [url.strip() for url in nats_settings.url.split(",")]
        return {
            "servers": urls,
            "name": self._name,
            **access_options(nats_settings),
            # One that takes connections and says nothing must leave time for the others.
            "connect_timeout": nats_settings.connect_timeout_s / len(urls),
            "reconnect_time_wait": nats_settings.reconnect_wait_s,
            "max_reconnect_attempts": -1,
            # Without a buffer a publish during an outage fails at once instead of landing later.
            "pending_size": 0,
            "ping_interval": 10,
            "max_outstanding_pings": 2,
            "error_cb": self._on_error,
            "disconnected_cb": self._on_disconnect,
            "reconnected_cb": self._on_reconnect,
        }

    def _public_url(self) -> str:
        return ",".join(url.rsplit("@", 1)[-1] for url in self._settings.nats.url.split(","))

    async def _on_error(self, error: Exception) -> None:
        log.debug("nats.error", extra={"error": type(error).__name__})
        if not self._client.is_connected:
            # nats-py 2.16 forgets the connection of an attempt that failed without closing it.
            self._outbound.abort()
        refusal = _refusal_of(error)
        if not self._opened and refusal is not None:
            # nats-py would go on trying; neither credentials nor certificates will get better.
            self._refusal = refusal
            self._patience.reschedule(asyncio.get_running_loop().time())
        self._note_denial(str(error))
        if isinstance(error, nats.errors.SlowConsumerError):
            self._disturb()

    def _note_denial(self, text: str) -> None:
        denied = _DENIED.search(text)
        if denied is not None:
            # Not a passing trouble: the permissions and this version do not belong together.
            log.error("nats.denied", extra={"operation": denied[1], "subject": denied[2]})
            self._replies.refuse(denied[2])

    async def _on_disconnect(self) -> None:
        if self._closed:
            return
        self.losses += 1
        log.warning("nats.disconnected", extra={"url": self._public_url()})
        self._up.clear()
        self._replies.fail_all()

    async def _on_reconnect(self) -> None:
        log.info("nats.reconnected", extra={"url": self._public_url()})
        self._up.set()
        self._disturb()

    def _leave_silent_server(self) -> None:
        if self.is_connected:
            log.warning("nats.silent", extra={"url": self._public_url()})
            self._outbound.abort()

    def _disturb(self) -> None:
        for listener in tuple(self._listeners):
            listener()

    def add_listener(self, listener: Disturbance) -> None:
        """Call ``listener`` whenever live messages may have been lost: reconnect, overflow."""
        self._listeners.add(listener)

    def remove_listener(self, listener: Disturbance) -> None:
        """Stop calling ``listener``."""
        self._listeners.discard(listener)

    async def wait_connected(self, timeout_s: float) -> bool:
        """Wait until the server is there; ``False`` when it is not within ``timeout_s``."""
        if self._closed:
            raise BridgeClosedError
        if not self._up.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._up.wait()
        if self._closed:
            raise BridgeClosedError
        return self._up.is_set()

    def publish(
        self, subject: str, payload: bytes, *, reply: str = "", headers: bytes = b""
    ) -> None:
        """Send one message behind all that were published before, and wait for no answer.

        Args:
            subject: Where it goes; made of checked ids.
            payload: The content.
            reply: Where the answer goes; empty when none is wanted.
            headers: As ``wire`` encodes them.

        Raises:
            SilenceError: The connection is down; nothing was sent.
            EventTooLargeError: The message exceeds the server's limit.
        """
        if not self._opened or self._closed:
            raise BridgeClosedError
        if not self._up.is_set() or not self._client.is_connected:
            raise SilenceError(sent=False)
        size, message = encode_message(subject, reply, headers, payload)
        if size > self.max_payload:
            # The server would cut the connection, and so would fail everybody's requests.
            raise EventTooLargeError(size, self.max_payload)
        self._outbound.put(message)

    async def request(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: bytes = b"",
    ) -> Msg:
        """Send one request and wait for its answer, once, at most ``request_timeout_s``.

        Raises:
            SilenceError: No answer; ``sent`` tells whether the server may have acted on it.
            AccessDeniedError: This user may not ask; nothing was done.
        """
        token = str(next(self._tokens))
        future = self._replies.expect(token, subject)
        try:
            self.publish(subject, payload, reply=f"{self._inbox}.{token}", headers=headers)
            message = await future
        finally:
            self._replies.forget(token)
        if message.headers and message.headers.get("Status") == _NO_RESPONDERS:
            raise SilenceError(sent=False)
        return message

    def new_inbox(self) -> str:
        """Return a subject that nobody else uses."""
        return self._client.new_inbox()

    def open_replies(self, subject: str) -> tuple[str, ReplyStream]:
        """Open an inbox for many answers to what is asked at ``subject``; close it when done."""
        token = str(next(self._tokens))
        return f"{self._inbox}.{token}", self._replies.expect_many(token, subject)

    async def api(self, subject: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call a JetStream API endpoint that may safely be asked again.

        Raises:
            ApiError: JetStream refused.
            AccessDeniedError: This user may not call it.
            UnavailableError: No answer within ``outage_budget_s``.
        """
        payload = b"" if body is None else orjson.dumps(body)
        outage = self.outage(subject)
        while True:
            try:
                answer = orjson.loads((await self.request(subject, payload)).data)
            except SilenceError:
                await outage.wait()
                continue
            error = answer.get("error")
            if error is None:
                return dict(answer)
            if error.get("code") != _TEMPORARY:
                raise ApiError(error.get("err_code", 0), error.get("description", ""))
            await outage.wait()

    def outage(self, what: str) -> Outage:
        """Start a budget for one call that may meet a server that is away."""
        return Outage(self.wait_connected, what, self._settings.log.outage_budget_s)

    async def subscribe(
        self, subject: str, callback: Callable[[Msg], Awaitable[None]], *, group: str = ""
    ) -> Subscription:
        """Subscribe a core subject; survives reconnects.

        Args:
            subject: May hold wildcards.
            callback: Gets each message, one after the other.
            group: Each message goes to one member of the group alone; empty: to everybody.

        Raises:
            BridgeClosedError: The connection is closed.
        """
        return await self._subscribe(subject, cb=callback, queue=group)

    async def listen(self, subject: str, handle: Callable[[Msg], None]) -> Subscription:
        """Subscribe a core subject, and handle each message as soon as it is parsed.

        Args:
            subject: The subject.
            handle: Must neither wait nor raise; there is no queue before it.

        Raises:
            BridgeClosedError: The connection is closed.
        """
        return await self._subscribe(subject, future=Inbox(handle))

    async def _subscribe(self, subject: str, **receiver: Any) -> Subscription:
        if not self.is_open:
            raise BridgeClosedError
        client = self._client
        try:
            return await client.subscribe(subject, **receiver)
        except RuntimeError:
            # uvloop refuses to write to a transport that has just died. nats-py has noted the
            # subscription, and sends it when it is connected again.
            return client._subs[client._sid]  # noqa: SLF001 - it was not handed over

    async def unsubscribe(self, subscription: Subscription) -> None:
        """End a subscription; without a connection the interest is gone already."""
        with suppress(nats.errors.Error, OSError, RuntimeError):
            await subscription.unsubscribe()

    async def flush(self) -> None:
        """Wait until the server has taken everything sent so far, at most ``request_timeout_s``.

        A message to our own inbox goes there and back, because nats-py 2.16 stops reading when the
        answer to its own flush comes after the time-out.

        Raises:
            SilenceError: It did not answer.
        """
        token = str(next(self._tokens))
        echo = self._replies.expect(token, f"{self._inbox}.{token}")
        try:
            self.publish(f"{self._inbox}.{token}", b"")
            await echo
        finally:
            self._replies.forget(token)


def _refusal_of(error: Exception) -> str | None:
    """Say what a server, or this side, has against the other; None when it may come right."""
    if isinstance(error, nats.errors.SecureConnRequiredError):
        return "it offers no TLS"
    if isinstance(error, ssl.SSLError) and not isinstance(error, _TLS_ENDED):
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, nats.errors.InvalidUserCredentialsError):
        return "the file of credentials holds none"
    return "wrong or missing credentials" if "authorization" in str(error).lower() else None
