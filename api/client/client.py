"""Create runs, publish to them and follow them from another service, through every outage.

Each call is made again, for a while, when the gateway does not answer. What has lost its answer is
done once all the same: a repeat is known by its key, or finds what is there already.
"""

import json
import uuid
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from api.client.errors import RunFailedError
from api.client.events import Event, Gap, item_of
from api.client.outage import CONNECT_TIMEOUT_S, OUTAGE_BUDGET_S, SILENCE_S, Outage, is_passing
from api.client.refusals import HOPELESS, no_address, refusal
from api.client.run_stream import END_EVENT, RunStream

_TIMEOUT: Final = aiohttp.ClientTimeout(sock_connect=CONNECT_TIMEOUT_S, sock_read=SILENCE_S)
_REFUSED: Final = 400


@dataclass(frozen=True, slots=True)
class Run:
    """Where a run is: all that is needed to follow it, publish to it, await or cancel it."""

    thread_id: str
    run_id: str

    @property
    def path(self) -> str:
        """Its path below a gateway's URL."""
        return f"/threads/{self.thread_id}/runs/{self.run_id}"


class Client:
    """Calls one gateway, or several behind one URL. Use it as a context manager.

    Args:
        url: The gateway, with its mount prefix if it has one.
        api_key: An API key; ``None``: the gateway does not ask, or ``token`` tells.
        token: A JSON Web Token.
        outage_budget_s: Seconds without a sign of life for which a call is made again.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        token: str | None = None,
        outage_budget_s: float = OUTAGE_BUDGET_S,
    ) -> None:
        self._url = url.rstrip("/")
        credentials = {
            "x-api-key": api_key,
            "Authorization": None if token is None else f"Bearer {token}",
        }
        self._headers = {name: each for name, each in credentials.items() if each is not None}
        self._outage_budget_s = outage_budget_s
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open connections as calls need them."""
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close them; runs that were created go on."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def create_thread(
        self, thread_id: str | None = None, *, metadata: Mapping[str, Any] | None = None
    ) -> str:
        """Return the id of a thread, which is created unless it is there.

        Raises:
            GatewayRequestError: It was refused, or nobody answered.
        """
        chosen = thread_id or str(uuid.uuid4())
        body = {"thread_id": chosen, "metadata": metadata or {}, "if_exists": "do_nothing"}
        await self._call("POST", "/threads", body)
        return chosen

    async def create_run(
        self,
        assistant_id: str,
        *,
        thread_id: str | None = None,
        idempotency_key: str | None = None,
        **options: Any,
    ) -> Run:
        """Start a run and return at once.

        Args:
            assistant_id: What executes it.
            thread_id: The thread; ``None`` makes one for this run.
            idempotency_key: What a later call, also of another process, is known by as a repeat.
                ``None``: this call alone is made once.
            options: What else the API's ``RunCreate`` takes, ``input`` above all.

        Raises:
            GatewayRequestError: It was refused, or nobody answered.
        """
        path = "/runs" if thread_id is None else f"/threads/{thread_id}/runs"
        made = await self._call(
            "POST",
            path,
            {"assistant_id": assistant_id, **options},
            {"Idempotency-Key": idempotency_key or str(uuid.uuid4())},
        )
        return Run(made["thread_id"], made["run_id"])

    async def get_run(self, run: Run) -> dict[str, Any]:
        """Return a run as the API's ``RunShown`` has it.

        Raises:
            GatewayRequestError: There is no such run, or nobody answered.
        """
        shown: dict[str, Any] = await self._call("GET", run.path)
        return shown

    async def publish(
        self,
        run: Run,
        event: str,
        data: Any,
        *,
        category: str = "stream",
        metadata: Mapping[str, Any] | None = None,
        event_id: str | None = None,
    ) -> str:
        """Append an event to a run and return its id; it is durable then.

        Args:
            run: The run; it must not have ended.
            event: The event's name.
            data: Any JSON value.
            category: What kind of event it is.
            metadata: What travels beside the data.
            event_id: What a later call is known by as a repeat, for two minutes. ``None``: this
                call alone is made once.

        Raises:
            GatewayRequestError: It was refused, or nobody answered.
        """
        body = {
            "event": event,
            "data": data,
            "category": category,
            "metadata": metadata,
            "event_id": event_id or str(uuid.uuid4()),
        }
        stored = await self._call("POST", f"{run.path}/events", body)
        return str(stored["id"])

    async def follow(
        self, run: Run, *, after: str | None = None, stream_modes: Iterable[str] = ()
    ) -> AsyncGenerator[Event | Gap]:
        """Yield a run's events, each once and in order, until it has ended.

        Args:
            run: The run.
            after: The id of the last event handled; ``None`` begins with the first one.
            stream_modes: Which events; none at all means everything.

        Raises:
            GatewayRequestError: There is no such run, or nobody answered.
        """
        modes = ",".join(stream_modes)
        url = f"{self._url}{run.path}/stream" + (f"?stream_mode={modes}" if modes else "")
        stream = RunStream(self._opened, url, after=after, outage_budget_s=self._outage_budget_s)
        async with aclosing(stream.messages()) as messages:
            async for message in messages:
                if message.event != END_EVENT:
                    yield item_of(message)

    async def wait(self, run: Run) -> Any:
        """Return a run's final values once it has ended, however long that takes.

        Raises:
            RunFailedError: It did not succeed.
            GatewayRequestError: There is no such run, or nobody answered.
        """
        values = await self._call("GET", f"{run.path}/join")
        if isinstance(values, dict) and "__error__" in values:
            raise RunFailedError(**values["__error__"])
        return values

    async def cancel(self, run: Run) -> None:
        """Ask for a run to be stopped; it ends soon, as ``interrupted``.

        Raises:
            GatewayRequestError: It has ended already, by itself or through an earlier attempt of
                this call whose answer was lost; or nobody answered.
        """
        await self._call("POST", f"{run.path}/cancel")

    @property
    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            msg = "the client is not open; use `async with Client(url) as client`"
            raise RuntimeError(msg)
        return self._session

    async def _call(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Any:
        """Make a request until it is answered, and return the document; ``None`` without one."""
        outage, url, session = Outage(self._outage_budget_s), self._url + path, self._opened
        while True:
            try:
                async with session.request(
                    method, url, json=body, headers=headers, timeout=_TIMEOUT
                ) as response:
                    if response.status < _REFUSED:
                        return await _document(response, outage)
                    refused = await refusal(response)
                    if not is_passing(response.status):
                        raise refused
                    reason = refused.reason
            except HOPELESS as exc:
                raise no_address(url) from exc
            except (aiohttp.ClientError, OSError, json.JSONDecodeError) as exc:
                # A document that was cut off is asked for again, too.
                reason = str(exc) or type(exc).__name__
            await outage.pause(url, reason)


async def _document(response: aiohttp.ClientResponse, outage: Outage) -> Any:
    """Read a document; what comes before it is a sign of life."""
    content = bytearray()
    async for chunk in response.content.iter_any():
        outage.is_over()
        content += chunk
    return json.loads(content) if content else None
