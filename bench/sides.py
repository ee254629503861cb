"""Two processes that send events to readers: our gateway, and a bare event loop beside it."""

import asyncio
import json
import time
from asyncio.subprocess import Process
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import ClientSession

from api.settings import Settings
from bench.children import child, gateway, read_line
from bench.setting import EVENT, stamped
from bridge import JetStreamBridge

BASELINE: Final = "bare event loop writing the same frames"


@dataclass(frozen=True, slots=True)
class Side:
    """A process that sends events to readers.

    Attributes:
        process: The process.
        port: Where it serves.
        path: What a reader asks for.
        run_id: The run that is read; empty where there is none.
        send: Make it send so many events, so many seconds apart; may return before it has. Each
            event carries the moment when it was sent.
    """

    process: Process
    port: int
    path: str
    run_id: str
    send: Callable[[int, float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides by name, and the process whose readers compare them."""

    both: Mapping[str, Side]
    readers: "Readers"


class Readers:
    """The process of the readers, by the commands that ``bench.readers`` takes."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def open(self, side: Side, count: int) -> None:
        """Connect so many readers; return when each has got its first block."""
        await self._order("open", side.port, side.path, count)
        await read_line(self._process)

    async def receive(self, side: Side, events: int) -> float:
        """Read what is sent anyway; return when the last reader had it, as :meth:`deliver` does."""
        return await self.deliver(replace(side, send=_send_nothing), events)

    async def close(self, side: Side) -> None:
        """Disconnect the readers of a side."""
        await self._order("close", side.port)
        await read_line(self._process)

    async def deliver(self, side: Side, events: int, pause_s: float = 0) -> float:
        """Send events; return when the last reader had the last one, by the monotonic clock."""
        await self._order("read", side.port, events)
        await side.send(events, pause_s)
        return float(json.loads(await read_line(self._process)))

    async def clock(
        self, side: Side, events: int, pause_s: float, shares: Sequence[float]
    ) -> list[float]:
        """Send events; return the seconds that these shares of the deliveries do not exceed."""
        await self._order("clock", side.port, events, shares)
        await side.send(events, pause_s)
        return [float(each) for each in json.loads(await read_line(self._process))]

    async def _order(self, command: str, *arguments: Any) -> None:
        await write_line(self._process, json.dumps({command: arguments}))


async def _send_nothing(_count: int, _pause_s: float) -> None:
    pass


@asynccontextmanager
async def running_readers() -> AsyncGenerator[Readers]:
    """Run the process of the readers."""
    async with child("bench.readers") as process:
        yield Readers(process)


@asynccontextmanager
async def running_sides(settings: Settings, bridge: JetStreamBridge) -> AsyncGenerator[Sides]:
    """Run a gateway with a run of its own, the bare loop, and the readers of both."""
    async with (
        gateway(settings) as (process, url),
        child("bench.bare_fanout") as bare,
        running_readers() as readers,
    ):
        theirs = Side(bare, int(await read_line(bare)), "/", "", _order_of(bare))
        both = {"ours": await gateway_side(process, url, bridge), "theirs": theirs}
        yield Sides(both, readers)


def _order_of(bare: Process) -> Callable[[int, float], Awaitable[None]]:
    async def send(count: int, pause_s: float) -> None:
        await write_line(bare, f"{count} {pause_s}")

    return send


async def gateway_side(process: Process, url: str, bridge: JetStreamBridge) -> Side:
    """Create a run over HTTP; no worker takes it, so that its events are ours alone."""
    async with ClientSession(url) as session:
        async with session.post("/threads", json={}) as answer:
            thread_id = (await answer.json())["thread_id"]
        runs = f"/threads/{thread_id}/runs"
        async with session.post(runs, json={"assistant_id": "echo"}) as answer:
            run_id = (await answer.json())["run_id"]

    async def send(count: int, pause_s: float) -> None:
        due_s = time.monotonic()
        for _ in range(count):
            await bridge.publish(run_id, EVENT, stamped())
            due_s += pause_s
            if pause_s:
                await asyncio.sleep(due_s - time.monotonic())

    port = urlsplit(url).port
    assert port is not None
    return Side(process, port, f"{runs}/{run_id}/stream", run_id, send)


async def write_line(process: Process, line: str) -> None:
    """Give a child a line on its standard input."""
    assert process.stdin is not None
    process.stdin.write(f"{line}\n".encode())
    await process.stdin.drain()
