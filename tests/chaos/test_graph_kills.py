"""A graph's processes are killed at random points; others go on, and nothing is lost or doubled."""

import asyncio
import multiprocessing
import random

import killed_graphs
import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings
from runs.langgraph import JetStreamSaver

ROUNDS = 4
MAX_KILLS = 6


@pytest.fixture(scope="module")
def start():
    """Start processes that have imported everything: ``start(function, *arguments)``."""
    context = multiprocessing.get_context("forkserver")
    # Python 3.11 preloads only what is on the path of a new interpreter.
    context.set_forkserver_preload(["langgraph.graph", "runs.langgraph", "uvloop"])

    def start(function, *arguments):
        process = context.Process(target=function, args=arguments)
        process.start()
        return process

    return start


async def ended(process, within_s):
    await asyncio.to_thread(process.join, within_s)
    return process.exitcode


async def run_to_the_end(start, nats, thread_id, durability):
    """Execute the graph, killing its process at random points; return how many were killed."""
    for kills in range(MAX_KILLS + 1):
        process = start(killed_graphs.execute, nats, thread_id, kills + 1, durability)
        patience_s = random.uniform(0, 0.4) if kills < MAX_KILLS else 60
        if await ended(process, patience_s) is None:
            process.kill()
        code = await ended(process, 10)
        assert code in (0, -9)
        if code == 0:
            return kills
    pytest.fail("not finished although nobody killed it")


@pytest.mark.chaos
@pytest.mark.parametrize("durability", ["async", "sync"])
async def test_killed_graphs_are_resumed_by_other_processes(
    server, start, durability, chaos_factor
):
    nats = {"url": server.url, "user": server.user, "password": server.password}
    killed = 0
    async with JetStreamBridge(BridgeSettings(nats=NatsSettings(**nats))) as bridge:
        for number in range(ROUNDS * chaos_factor):
            thread_id = f"thread-{number}"
            killed += await run_to_the_end(start, nats, thread_id, durability)
            graph = killed_graphs.build(JetStreamSaver(bridge.checkpoints))
            state = await graph.aget_state(killed_graphs.config(thread_id))
            everything = list(range(killed_graphs.STEPS * killed_graphs.WIDTH))
            assert state.values == {
                "step": killed_graphs.STEPS,
                "done": everything,
                "delta": everything,
            }
            assert state.next == ()
            assert await bridge.checkpoints.roll_back(thread_id, "run") > 0
            assert await bridge.checkpoints.keys(thread_id) == []
    assert killed > 0
