"""A graph's processes are killed at random points; others go on, and nothing is lost or doubled."""

import asyncio
import multiprocessing
import os
import random
import signal

import killed_graphs
import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings
from runs.langgraph import JetStreamSaver

ROUNDS = 4
MAX_KILLS = 6


@pytest.fixture(scope="module")
def start():
    """Execute the graph in a process of its own: ``await start(nats, thread_id, attempt, how)``.

    It returns once the graph is about to begin, or the process has ended.
    """
    context = multiprocessing.get_context("forkserver")
    # Python 3.11 preloads only what is on the path of a new interpreter.
    context.set_forkserver_preload(["langgraph.graph", "runs.langgraph", "uvloop"])

    async def start(*arguments):
        begun = context.Event()
        process = context.Process(target=killed_graphs.execute, args=(begun, *arguments))
        process.start()
        while process.exitcode is None and not await asyncio.to_thread(begun.wait, 0.2):
            pass
        return process

    return start


async def ended(process, within_s):
    await asyncio.to_thread(process.join, within_s)
    return process.exitcode


async def run_to_the_end(start, nats, thread_id, durability):
    """Execute the graph, killing its process at random points; return how many were killed."""
    for kills in range(MAX_KILLS + 1):
        process = await start(nats, thread_id, kills + 1, durability)
        patience_s = random.uniform(0, 0.15) if kills < MAX_KILLS else 60
        if await ended(process, patience_s) is None:
            process.kill()
        code = await ended(process, 10)
        assert code in (0, -9)
        if code == 0:
            return kills
    pytest.fail("not finished although nobody killed it")


async def check_finished(bridge, thread_id):
    graph = killed_graphs.build(JetStreamSaver(bridge.checkpoints))
    state = await graph.aget_state(killed_graphs.config(thread_id))
    everything = list(range(killed_graphs.STEPS * killed_graphs.WIDTH))
    assert state.values == {"step": killed_graphs.STEPS, "done": everything, "delta": everything}
    assert state.next == ()


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
            await check_finished(bridge, thread_id)
            assert await bridge.checkpoints.roll_back(thread_id, "run") > 0
            assert await bridge.checkpoints.keys(thread_id) == []
    assert killed > 0


@pytest.mark.chaos
async def test_a_process_that_stood_still_stores_nothing_once_another_went_on(
    server, start, chaos_factor
):
    nats = {"url": server.url, "user": server.user, "password": server.password}
    fenced = 0
    async with JetStreamBridge(BridgeSettings(nats=NatsSettings(**nats))) as bridge:
        for number in range(ROUNDS * chaos_factor):
            thread_id = f"thread-{number}"
            still = await start(nats, thread_id, 1, "async")
            if await ended(still, random.uniform(0, 0.1)) is not None:
                continue
            os.kill(still.pid, signal.SIGSTOP)
            successor = await start(nats, thread_id, 2, "async")
            # It wakes up before, while, or after the other one works; in the first round, after.
            await ended(successor, random.uniform(0, 1) if number else 60)
            os.kill(still.pid, signal.SIGCONT)
            codes = [await ended(each, 60) for each in (still, successor)]
            assert codes in ([killed_graphs.FENCED, 0], [0, 0])
            fenced += codes[0] == killed_graphs.FENCED
            await check_finished(bridge, thread_id)
    assert fenced > 0
