"""A graph as it is executed by a process that may be killed at any moment."""

import asyncio
import operator
import random
import sys
from itertools import chain
from typing import Annotated, TypedDict

import uvloop
from langgraph.channels import DeltaChannel
from langgraph.graph import END, START, StateGraph
from langgraph.types import Send

from bridge import BridgeSettings, CheckpointFencedError, JetStreamBridge, NatsSettings
from runs.langgraph import JetStreamSaver

STEPS = 8
WIDTH = 3
FENCED = 3


class State(TypedDict):
    step: int
    done: Annotated[list, operator.add]
    delta: Annotated[list, DeltaChannel(lambda state, writes: [*state, *chain(*writes)])]


class Share(TypedDict):
    step: int
    number: int


async def work(share):
    await asyncio.sleep(random.uniform(0.005, 0.025))
    result = [share["step"] * WIDTH + share["number"]]
    return {"done": result, "delta": result}


def gather(state):
    return {"step": state["step"] + 1}


def sends(state):
    if state["step"] == STEPS:
        return END
    return [Send("work", {"step": state["step"], "number": number}) for number in range(WIDTH)]


def build(saver):
    builder = StateGraph(State)
    builder.add_node("work", work)
    builder.add_node("gather", gather)
    builder.add_conditional_edges(START, sends, ["work", END])
    builder.add_edge("work", "gather")
    builder.add_conditional_edges("gather", sends, ["work", END])
    return builder.compile(checkpointer=saver)


def config(thread_id):
    return {"configurable": {"thread_id": thread_id, "run_id": "run"}}


async def _execute(begun, nats, thread_id, attempt, durability):
    async with JetStreamBridge(BridgeSettings(nats=NatsSettings(**nats))) as bridge:
        saver = JetStreamSaver(bridge.checkpoints)
        await saver.claim(thread_id, "run", attempt)
        found = await saver.aget_tuple(config(thread_id))
        given = {"step": 0, "done": [], "delta": []} if found is None else None
        begun.set()
        await build(saver).ainvoke(given, config(thread_id), durability=durability)


def execute(begun, nats, thread_id, attempt, durability):
    """Begin the run, or go on with it where the last process was killed.

    ``begun`` is set when it is about to. It exits with ``FENCED`` when a later attempt has taken
    the thread.
    """
    try:
        uvloop.run(_execute(begun, nats, thread_id, attempt, durability))
    except CheckpointFencedError:
        sys.exit(FENCED)
