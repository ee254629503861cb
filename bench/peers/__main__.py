"""Measure jetrun and the servers beside it, in turns, and print each figure beside theirs.

All of them run from the first turn to the last; while one is asked, the others stand still.
"""

import argparse
import asyncio
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final, TypeVar

from bench import machine
from bench.peers.descent import standing_still
from bench.peers.servers import Server, servers
from bench.peers.visitor import SMOKE_LOAD, Load, Visitor
from bench.report import Figure, Section, markdown, print_section
from bench.rounds import in_turns

RESULTS: Final = Path(__file__).with_name("RESULTS.md")
ROUNDS: Final = 5
SMOKE_ROUNDS: Final = 1
_OURS: Final = "jetrun"

#: What a server that stood still had to do meanwhile is done after so long.
_AWAKE_S: Final = 1.0

Result = TypeVar("Result")
Ask = Callable[[Visitor], Awaitable[float]]


class Visits:
    """The visitors of all servers; at each moment one server moves.

    Args:
        visitors: By the name of the server.
        servers: By name.
    """

    def __init__(self, visitors: Mapping[str, Visitor], servers: Mapping[str, Server]) -> None:
        self._visitors = visitors
        self._servers = servers

    @property
    def names(self) -> list[str]:
        """The names of the servers."""
        return list(self._visitors)

    async def ask(self, name: str, ask: Callable[[Visitor], Awaitable[Result]]) -> Result:
        """Ask one server while the others stand still."""
        others = {each: server for each, server in self._servers.items() if each != name}
        with standing_still(pid for server in others.values() for pid in server.process_ids):
            await asyncio.sleep(_AWAKE_S)
            return await ask(self._visitors[name])


async def measure(load: Load, rounds: int) -> list[Section]:
    """Run all servers side by side, and ask them in turns."""

    async def in_ms(title: str, ask: Ask, target: str) -> Section:
        seconds = await _medians(visits, ask, rounds)
        millis = {name: each * 1000 for name, each in seconds.items()}
        return Section(title, "median of medians", _beside("one", millis, "ms", target))

    async def a_second(title: str, what: str, ask: Ask, target: str) -> Section:
        seconds = await _medians(visits, ask, rounds)
        rates = {name: 1 / each for name, each in seconds.items()}
        return Section(title, what, _beside("a second", rates, "/s", target))

    async with _visiting(load) as visits:
        return [
            await in_ms("request to first event", Visitor.first_event_s, "<= 4 ms"),
            await a_second(
                "events",
                f"one run emits {load.events} events of 200 bytes, kept for who comes back",
                Visitor.events_s,
                ">= 15,000 /s",
            ),
            await a_second(
                "messages",
                f"a message in {load.tokens} pieces, kept for who comes back",
                Visitor.messages_s,
                ">= 8,000 /s",
            ),
            await a_second(
                "runs",
                f"created and awaited by {load.clients} clients at a time, durability async",
                Visitor.runs_s,
                ">= 200 /s",
            ),
            await _rejoin(visits, load),
        ]


@asynccontextmanager
async def _visiting(load: Load) -> AsyncGenerator[Visits]:
    async with AsyncExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jetrun-peers-")))
        visitors, running = {}, {}
        for name, serve in servers().items():
            own = directory / name.replace(" ", "-")
            own.mkdir()
            running[name] = await stack.enter_async_context(serve(own))
            visitors[name] = Visitor(running[name].url, load)
            await visitors[name].arrive()
        yield Visits(visitors, running)


async def _medians(visits: Visits, ask: Ask, rounds: int) -> dict[str, float]:
    asked = {name: partial(visits.ask, name, ask) for name in visits.names}
    return {name: median(each) for name, each in (await in_turns(rounds, asked)).items()}


def _beside(name: str, values: Mapping[str, float], unit: str, target: str) -> list[Figure]:
    others = {peer: value for peer, value in values.items() if peer != _OURS}
    if not others:
        return [Figure(name, values[_OURS], unit, target=target)]
    return [
        Figure(name, values[_OURS], unit, peer, value, target) for peer, value in others.items()
    ]


async def _rejoin(visits: Visits, load: Load) -> Section:
    figures = []
    for name in visits.names:
        lost, doubled = await visits.ask(name, Visitor.rejoin)
        target = "0" if name == _OURS else ""
        figures += [
            Figure(f"lost, {name}", lost, "events", target=target),
            Figure(f"doubled, {name}", doubled, "events", target=target),
        ]
    title = f"a follower of {load.events} events leaves after every 50 and comes back"
    return Section("rejoin", title, figures)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="small sizes: only show that it runs")
    parser.add_argument("--write", action="store_true", help=f"record it in {RESULTS}")
    return parser.parse_args()


async def _run(given: argparse.Namespace) -> None:
    facts = [*await machine.facts(), ("beside", ", ".join(list(servers())[1:]) or "nobody")]
    load, rounds = (SMOKE_LOAD, SMOKE_ROUNDS) if given.smoke else (Load(), ROUNDS)
    sections = await measure(load, rounds)
    for section in sections:
        print()
        print_section(section)
    if given.write:
        RESULTS.write_text(markdown("python -m bench.peers --write", facts, sections), "utf-8")


asyncio.run(_run(_arguments()))
