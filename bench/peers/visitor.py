"""What one client asks of a server, and how long each answer takes."""

import asyncio
import time
from contextlib import aclosing
from statistics import median
from typing import Any, Final, NamedTuple

from langgraph_sdk import get_client

_ASSISTANT: Final = "measured"
#: Of a follower that leaves and comes back.
_PIECE: Final = 50
_MAX_JOINS_PER_PIECE: Final = 3
_FINAL: Final = frozenset({"success", "error", "timeout", "interrupted"})


class Load(NamedTuple):
    """How much is asked for in a round.

    Attributes:
        requests: Runs whose first event is waited for, one after the other.
        events: Of a run that emits many.
        tokens: Pieces of a run's message.
        clients: Who create runs and wait for them at the same time.
        runs: Of each of them.
    """

    requests: int = 20
    events: int = 5000
    tokens: int = 2000
    clients: int = 10
    runs: int = 20


SMOKE_LOAD: Final = Load(requests=2, events=100, tokens=50, clients=2, runs=2)


class Visitor:
    """A client of one server.

    Args:
        url: The server.
        load: How much it asks for.
    """

    def __init__(self, url: str, load: Load) -> None:
        self._client = get_client(url=url)
        self._load = load
        self._threads: list[str] = []

    async def arrive(self) -> None:
        """Make a thread for each of those that ask at the same time."""
        for _ in range(self._load.clients):
            self._threads.append((await self._client.threads.create())["thread_id"])

    async def first_event_s(self) -> float:
        """Return the median time from a request to the first event of its run."""
        return median([await self._first_event_s() for _ in range(self._load.requests)])

    async def _first_event_s(self) -> float:
        started, first_s = time.perf_counter(), 0.0
        async for _ in self._client.runs.stream(
            self._threads[0], _ASSISTANT, input={"events": 0, "tokens": 0}, stream_mode="values"
        ):
            first_s = first_s or time.perf_counter() - started
        return first_s

    async def events_s(self) -> float:
        """Return the seconds of one event of a run that emits many, kept for who comes back."""
        return await self._streamed_s(
            {"events": self._load.events, "tokens": 0}, "custom", self._load.events
        )

    async def messages_s(self) -> float:
        """Return the seconds of one piece of a long message."""
        return await self._streamed_s(
            {"tokens": self._load.tokens}, "messages-tuple", self._load.tokens
        )

    async def _streamed_s(self, given: dict[str, int], mode: Any, count: int) -> float:
        started, heard = time.perf_counter(), 0
        async for part in self._client.runs.stream(
            self._threads[0], _ASSISTANT, input=given, stream_mode=mode, stream_resumable=True
        ):
            heard += part.event in {"custom", "messages"}
        took_s = time.perf_counter() - started
        assert heard >= count, f"{heard} of {count} events came"
        return took_s / heard

    async def runs_s(self) -> float:
        """Return the seconds of one run, created and awaited, beside others."""

        async def visit(thread_id: str) -> None:
            for _ in range(self._load.runs):
                await self._client.runs.wait(
                    thread_id, _ASSISTANT, input={"events": 0, "tokens": 0}, durability="async"
                )

        started = time.perf_counter()
        await asyncio.gather(*map(visit, self._threads))
        return (time.perf_counter() - started) / (self._load.runs * len(self._threads))

    async def rejoin(self) -> tuple[int, int]:
        """Follow a run, leave after every 50 events, and come back with the last id.

        Returns:
            How many events were lost, and how many came twice.
        """
        thread_id, wanted = self._threads[0], self._load.events
        run = await self._client.runs.create(
            thread_id,
            _ASSISTANT,
            input={"events": wanted, "tokens": 0},
            stream_mode="custom",
            stream_resumable=True,
        )
        numbers: list[int] = []
        cursor: str | None = None
        for _ in range(_MAX_JOINS_PER_PIECE * wanted // _PIECE):
            heard, cursor = await self._join(thread_id, run["run_id"], cursor)
            numbers += heard
            if len(heard) < _PIECE:
                found = await self._client.runs.get(thread_id, run["run_id"])
                if found["status"] in _FINAL:
                    break
        return wanted - len(set(numbers)), len(numbers) - len(set(numbers))

    async def _join(
        self, thread_id: str, run_id: str, cursor: str | None
    ) -> tuple[list[int], str | None]:
        numbers: list[int] = []
        joined = self._client.runs.join_stream(
            thread_id, run_id, stream_mode="custom", last_event_id=cursor or "-1"
        )
        async with aclosing(joined) as parts:  # type: ignore[type-var]  # it is a generator
            async for part in parts:
                cursor = part.id or cursor
                if part.event == "custom":
                    numbers.append(int(part.data[:6]))  # type: ignore[index]  # a text here
                if len(numbers) == _PIECE:
                    break
        return numbers, cursor
