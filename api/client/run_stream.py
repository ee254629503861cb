"""Follow a run over HTTP from any cursor, through every cut of the connection, without a gap.

A reader handles a message, then asks for the next one; whatever happens in between, the stream goes
on after the last message handed out.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import aiohttp

from api.client.errors import GatewayRequestError
from api.client.outage import CONNECT_TIMEOUT_S, OUTAGE_BUDGET_S, SILENCE_S, Outage, is_passing
from api.client.refusals import HOPELESS, no_address, refusal
from api.client.sse import SseMessage, SseOverflowError, SseParser

END_EVENT: Final = "end"

_OK = 200
_TIMEOUT = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)


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
        outage = Outage(self._outage_budget_s)
        while True:
            reason = "the connection ended"
            try:
                async with aclosing(self._read_one_connection(outage)) as received:
                    async for message in received:
                        yield message
                        if message.event == END_EVENT:
                            return
            except HOPELESS as exc:
                raise no_address(self._url) from exc
            except (aiohttp.ClientError, OSError, SseOverflowError) as exc:
                reason = str(exc) or type(exc).__name__
                if not self.connections and isinstance(exc, aiohttp.ClientConnectorError):
                    raise GatewayRequestError(self._url, f"{reason}; start a gateway") from exc
            if self._on_outage is not None and not outage.is_known:
                self._on_outage(reason)
            await outage.pause(self._url, reason)

    async def _read_one_connection(self, outage: Outage) -> AsyncGenerator[SseMessage]:
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
        refused = await refusal(response)
        if is_passing(status):
            raise aiohttp.ClientPayloadError(refused.reason)
        raise refused
