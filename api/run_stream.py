"""Follow a run over HTTP from any cursor, through every cut of the connection, without a gap.

A reader handles a message, then asks for the next one; whatever happens in between, the stream goes
on after the last message handed out.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import aiohttp

from api.sse_client import SseMessage, SseOverflowError, SseParser
from api.startup_errors import GatewayRequestError

END_EVENT: Final = "end"
#: Three heartbeats of the gateway: more silence than that is a dead connection.
SILENCE_S: Final = 15.0
OUTAGE_BUDGET_S: Final = 30.0

_CONNECT_TIMEOUT_S = 5.0
_FIRST_PAUSE_S = 0.05
_MAX_PAUSE_S = 2.0
_OK = 200
_RETRIED_STATUSES = frozenset({408, 429})
_SERVER_ERRORS = range(500, 600)
_HOPELESS = (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)
_TIMEOUT = aiohttp.ClientTimeout(sock_connect=_CONNECT_TIMEOUT_S, sock_read=SILENCE_S)


class RunStream:
    """The events of one run as a client sees them.

    Args:
        session: Makes the connections; belongs to the caller.
        url: The run's stream.
        after: The id of the last event handled; None starts at the beginning.
        outage_budget_s: Seconds without a sign of life for which connecting is tried again.
        on_outage: Called with the reason when a connection ended before the run did, once until
            the stream goes on.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        *,
        after: str | None = None,
        outage_budget_s: float = OUTAGE_BUDGET_S,
        on_outage: Callable[[str], None] | None = None,
    ) -> None:
        self._session = session
        self._url = url
        self._outage_budget_s = outage_budget_s
        self._on_outage = on_outage
        self._is_cut = False
        self.last_event_id = after or ""
        self.connections = 0

    @property
    def resumes(self) -> int:
        """How many times the stream went on over a new connection."""
        return max(0, self.connections - 1)

    def cut(self) -> None:
        """Drop the connection with all it has delivered beyond the last message handed out."""
        self._is_cut = True

    async def messages(self) -> AsyncGenerator[SseMessage]:
        """Yield the run's messages, each once, up to and including ``end``.

        Raises:
            GatewayRequestError: The gateway refused the request, was not there at all, or was away
                for the length of the outage budget.
        """
        outage = _Outage(self._outage_budget_s)
        while True:
            reason = "the connection ended"
            try:
                async with aclosing(self._read_one_connection(outage)) as received:
                    async for message in received:
                        yield message
                        if message.event == END_EVENT:
                            return
            except _HOPELESS as exc:
                raise GatewayRequestError(self._url, "is no http:// or https:// URL") from exc
            except (aiohttp.ClientError, OSError, SseOverflowError) as exc:
                reason = str(exc) or type(exc).__name__
                if not self.connections and isinstance(exc, aiohttp.ClientConnectorError):
                    raise GatewayRequestError(self._url, f"{reason}; start a gateway") from exc
            if self._on_outage is not None and not outage.is_known:
                self._on_outage(reason)
            await outage.pause(self._url, reason)

    async def _read_one_connection(self, outage: "_Outage") -> AsyncGenerator[SseMessage]:
        self._is_cut = False
        headers = {"Accept": "text/event-stream"}
        if self.last_event_id:
            headers["Last-Event-ID"] = self.last_event_id
        async with self._session.get(self._url, headers=headers, timeout=_TIMEOUT) as response:
            await self._check(response)
            self.connections += 1
            parser = SseParser(self.last_event_id)
            async for chunk in response.content.iter_any():
                for item in parser.feed(chunk):
                    outage.is_over()
                    if not isinstance(item, SseMessage):
                        continue
                    self.last_event_id = item.id
                    yield item
                    if self._is_cut:
                        response.close()
                        return

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        status = response.status
        if status == _OK and response.content_type == "text/event-stream":
            return
        reason = await refusal(response)
        if status in _RETRIED_STATUSES or status in _SERVER_ERRORS:
            raise aiohttp.ClientPayloadError(reason)
        raise GatewayRequestError(self._url, reason)


async def refusal(response: aiohttp.ClientResponse) -> str:
    """Return what a problem document says, for people."""
    try:
        problem = await response.json(content_type=None)
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return f"{response.status} {detail or response.reason}"


class _Outage:
    """Pauses between attempts, longer and longer, until the budget is used up."""

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._pause_s = _FIRST_PAUSE_S
        self._began: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether an attempt has failed since the last sign of life."""
        return self._began is not None

    def is_over(self) -> None:
        """Start anew: the gateway gave a sign of life, an event or a heartbeat."""
        self._began = None
        self._pause_s = _FIRST_PAUSE_S

    async def pause(self, url: str, reason: str) -> None:
        """Wait before the next attempt, or give up."""
        now = time.monotonic()
        self._began = self._began if self._began is not None else now
        if now - self._began > self._budget_s:
            budget = f"no sign of life for {self._budget_s:g} s"
            raise GatewayRequestError(url, f"{budget}, last reason: {reason}")
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _MAX_PAUSE_S)
