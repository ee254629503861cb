"""Publishing beside bare nats-py: one at a time, many at once, and with each write synced.

At once means: 50 runs that wait for each of their acks; one run in one call, by ``publish_many``;
and one run by as many calls of ``publish``, a task each. Their baseline is nats-py's
``publish_async`` with a window of 256. The events of one run form a chain, each stored behind the
one before; the bare client's do not, and may land in any order.
"""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import median
from typing import Final

from nats.js import JetStreamContext

from bench.report import Figure
from bench.rounds import Action, TimedAction, in_turns, timed
from bench.setting import (
    BARE_SUBJECT,
    DATA,
    EVENT,
    PAYLOAD,
    bare_client,
    bare_stream,
    new_run,
    open_bridge,
    running_server,
)
from bridge import JetStreamBridge, new_event, new_id, wire
from bridge.nats_client import parse_header_lines
from bridge.subjects import RunRef, Subjects

TITLE: Final = "events of 200 bytes, published one at a time and many at once"
IN_TURN: Final = 100
RUNS: Final = 50
BURST: Final = 1000
WINDOW: Final = 256
IN_TURN_ROUNDS: Final = 200
ROUNDS: Final = 25
SMOKE_ROUNDS: Final = 2
_PIPELINED: Final = f"nats-py publish_async, {WINDOW} in flight"


@dataclass(frozen=True, slots=True)
class Load:
    """How much the slower ones publish in a round.

    Attributes:
        per_run: Events of each of 50 runs.
        pipelined: Events of the bare client.
        note: What the server does differently, for the names of the figures.
    """

    per_run: int
    pipelined: int
    note: str = ""


PLAIN: Final = Load(per_run=40, pipelined=2000)
SYNCED: Final = Load(per_run=4, pipelined=500, note=", each write synced")


async def measure(*, smoke: bool) -> list[Figure]:
    rounds = SMOKE_ROUNDS if smoke else ROUNDS
    async with _publishers() as publishers:
        in_turn_rounds = SMOKE_ROUNDS if smoke else IN_TURN_ROUNDS
        in_turn = await in_turns(in_turn_rounds, publishers.in_turn())
        at_once = await in_turns(rounds, publishers.at_once(PLAIN))
    async with _publishers(sync_always=True) as publishers:
        synced = await in_turns(rounds, publishers.at_once(SYNCED))
    return [
        *_in_turn_figures(_rates(in_turn)),
        *_at_once_figures(_rates(at_once), PLAIN, ("ratio >= 0.7", "ratio >= 1.0")),
        *_at_once_figures(_rates(synced), SYNCED, ("", "ratio >= 6")),
    ]


def _rates(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: 1 / median(each) for name, each in seconds.items()}


def _in_turn_figures(rates: Mapping[str, float]) -> list[Figure]:
    name, value = "one run, each event awaited", rates["run"]
    payload, headers = "nats-py publish of the same payload", "the same with the bridge's headers"
    return [
        Figure(name, value, "/s", payload, rates["bare"], "ratio >= 0.9"),
        Figure(name, value, "/s", headers, rates["bare with headers"]),
    ]


def _at_once_figures(
    rates: Mapping[str, float], load: Load, targets: tuple[str, str]
) -> list[Figure]:
    figures = [
        (f"{RUNS} runs, each waiting for its acks", rates["runs"], targets[0]),
        (f"one run, publish_many of {BURST}", rates["one call"], targets[1]),
        (f"one run, {BURST} publish calls at once", rates["calls"], ""),
    ]
    return [
        Figure(f"{name}{load.note}", value, "/s", _PIPELINED, rates["bare"], target)
        for name, value, target in figures
    ]


def _per_event(action: Action, count: int) -> TimedAction:
    """Return what tells the seconds of one of the ``count`` events that an action publishes."""
    whole = timed(action)

    async def measured() -> float:
        return await whole() / count

    return measured


class Publishers:
    """Everything that publishes to one server.

    Args:
        bridge: An open bridge.
        runs: Runs of it.
        jetstream: The bare client.
    """

    def __init__(
        self, bridge: JetStreamBridge, runs: list[str], jetstream: JetStreamContext
    ) -> None:
        self._bridge = bridge
        self._runs = runs
        self._jetstream = jetstream
        self._subject = Subjects().event(RunRef(new_id(), new_id()))
        self._last_seq = 0

    def in_turn(self) -> dict[str, TimedAction]:
        """Return those that wait for each acknowledgement."""
        actions: dict[str, Action] = {
            "run": lambda: self._publish(self._runs[0], IN_TURN),
            "bare": self._publish_bare,
            "bare with headers": self._publish_bare_with_headers,
        }
        return {name: _per_event(action, IN_TURN) for name, action in actions.items()}

    def at_once(self, load: Load) -> dict[str, TimedAction]:
        """Return those that have many events on their way."""

        async def runs() -> None:
            await asyncio.gather(*(self._publish(run, load.per_run) for run in self._runs))

        async def one_call() -> None:
            events = [new_event(EVENT, DATA) for _ in range(BURST)]
            await self._bridge.publish_many(self._runs[0], events)

        async def calls() -> None:
            run_id = self._runs[0]
            await asyncio.gather(*(self._bridge.publish(run_id, EVENT, DATA) for _ in range(BURST)))

        async def bare() -> None:
            publish = self._jetstream.publish_async
            acks = [await publish(BARE_SUBJECT, PAYLOAD) for _ in range(load.pipelined)]
            await asyncio.gather(*acks)

        return {
            "runs": _per_event(runs, RUNS * load.per_run),
            "one call": _per_event(one_call, BURST),
            "calls": _per_event(calls, BURST),
            "bare": _per_event(bare, load.pipelined),
        }

    async def _publish(self, run_id: str, count: int) -> None:
        for _ in range(count):
            await self._bridge.publish(run_id, EVENT, DATA)

    async def _publish_bare(self) -> None:
        for _ in range(IN_TURN):
            await self._jetstream.publish(BARE_SUBJECT, PAYLOAD)

    async def _publish_bare_with_headers(self) -> None:
        """Publish what the bridge stores, to its stream: the price of the log's format."""
        lines = wire.encode_event(new_event(EVENT, DATA), 1, 200, "0123456789ab.1")
        headers = parse_header_lines(lines)
        for number in range(IN_TURN):
            event = new_event(EVENT, DATA)
            headers[wire.SEQ] = str(number)
            headers[wire.TIME] = event.created_at
            headers[wire.EXPECTED_SUBJECT_SEQUENCE] = str(self._last_seq)
            ack = await self._jetstream.publish(self._subject, event.payload, headers=headers)
            self._last_seq = ack.seq


@asynccontextmanager
async def _publishers(*, sync_always: bool = False) -> AsyncGenerator[Publishers]:
    async with (
        running_server(sync_always=sync_always) as server,
        open_bridge(server) as bridge,
        bare_client(server) as client,
    ):
        runs = [await new_run(bridge) for _ in range(RUNS)]
        yield Publishers(bridge, runs, await bare_stream(client, max_pending=WINDOW))
