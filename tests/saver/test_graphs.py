"""Graphs that stop, resume and grow on JetStreamSaver, each time with a saver of its own."""

import asyncio
import operator
from itertools import chain
from typing import Annotated, TypedDict

import pytest
from langgraph.channels import DeltaChannel
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send, interrupt

from runs.langgraph import JetStreamSaver


class Items(TypedDict):
    items: Annotated[list, operator.add]


class Growing(TypedDict):
    items: Annotated[list, DeltaChannel(lambda state, writes: [*state, *chain(*writes)])]


def config(thread_id, run_id=None, **more):
    said = {"thread_id": thread_id, **more}
    return {"configurable": said if run_id is None else {**said, "run_id": run_id}}


def asking(saver, question="sure?"):
    """A graph that asks in its second step and goes on with the answer."""
    builder = StateGraph(Items)
    builder.add_node("first", lambda _: {"items": ["first"]})
    builder.add_node("ask", lambda _: {"items": [interrupt(question)]})
    builder.add_node("last", lambda _: {"items": ["last"]})
    builder.add_edge(START, "first")
    builder.add_edge("first", "ask")
    builder.add_edge("ask", "last")
    builder.add_edge("last", END)
    return builder.compile(checkpointer=saver)


@pytest.fixture
def new_saver(bridge):
    return lambda: JetStreamSaver(bridge.checkpoints)


@pytest.mark.parametrize("durability", ["sync", "async", "exit"])
async def test_an_interrupted_graph_resumes_with_another_saver(new_saver, durability):
    stopped = await asking(new_saver()).ainvoke(
        {"items": []}, config("t", "1"), durability=durability
    )
    assert stopped["__interrupt__"][0].value == "sure?"
    done = await asking(new_saver()).ainvoke(
        Command(resume="yes"), config("t", "2"), durability=durability
    )
    assert done["items"] == ["first", "yes", "last"]


async def test_history_is_what_the_saver_in_memory_tells(new_saver):
    told = []
    for saver in (InMemorySaver(), new_saver()):
        graph = asking(saver)
        await graph.ainvoke({"items": []}, config("t", "1"))
        await graph.ainvoke(Command(resume="yes"), config("t", "2"))
        states = [state async for state in graph.aget_state_history(config("t"))]
        told.append([(s.values, s.next, s.metadata["step"], len(s.tasks)) for s in states])
    assert told[0] == told[1]
    assert len(told[0]) == 5


async def test_a_step_of_1500_tasks_is_resumed_without_the_1499_that_were_done(new_saver):
    executed, others_done = [], asyncio.Event()

    async def work(number):
        executed.append(number)
        if len(executed) == 1500:
            others_done.set()
        if number == 700 and len(executed) <= 1500:
            await others_done.wait()
            msg = "the first time it fails"
            raise ValueError(msg)
        return {"items": [number]}

    def build(saver):
        builder = StateGraph(Items)
        builder.add_node("work", work)
        sends = [Send("work", number) for number in range(1500)]
        builder.add_conditional_edges(START, lambda _: sends, ["work"])
        builder.add_edge("work", END)
        return builder.compile(checkpointer=saver)

    with pytest.raises(ValueError, match="the first time"):
        await build(new_saver()).ainvoke({"items": []}, config("t"))
    saver = new_saver()
    tasks = {write[0] for write in (await saver.aget_tuple(config("t"))).pending_writes}
    assert len(tasks) == 1500
    done = await build(new_saver()).ainvoke(None, config("t"))
    assert done["items"] == list(range(1500))
    assert executed[1500:] == [700]


NAMES = ["two words", "a.b.c", "wild.*", "x >", ">", "naïve"]


@pytest.mark.parametrize("name", NAMES)
async def test_subgraphs_in_nodes_of_any_name_keep_their_own_checkpoints(new_saver, name):
    def build(saver):
        inner = asking(None, question=name)
        builder = StateGraph(Items)
        builder.add_node(name, inner)
        builder.add_edge(START, name)
        builder.add_edge(name, END)
        return builder.compile(checkpointer=saver)

    await build(new_saver()).ainvoke({"items": []}, config("t"))
    state = await build(new_saver()).aget_state(config("t"), subgraphs=True)
    inner = state.tasks[0].state
    assert inner.config["configurable"]["checkpoint_ns"].startswith(f"{name}:")
    assert inner.values["items"] == ["first"]
    done = await build(new_saver()).ainvoke(Command(resume="yes"), config("t"))
    assert done["items"] == ["first", "yes", "last"]


async def test_threads_may_have_any_name(new_saver):
    names = ["a.b", "*", ">", "", "ü 1", "a/b", "x" * 300, "~"]
    for name in names:
        await asking(new_saver()).ainvoke({"items": [name]}, config(name))
    for name in names:
        state = await asking(new_saver()).aget_state(config(name))
        assert state.values["items"] == [name, "first"]
        assert state.config["configurable"]["thread_id"] == name


def growing(saver):
    builder = StateGraph(Growing)
    builder.add_node("step", lambda state: {"items": [len(state["items"])]})
    builder.add_conditional_edges(
        "step", lambda state: END if len(state["items"]) % 6 == 0 else "step", ["step", END]
    )
    builder.add_edge(START, "step")
    return builder.compile(checkpointer=saver)


@pytest.mark.parametrize("durability", ["sync", "exit"])
async def test_pruning_keeps_what_delta_channels_are_rebuilt_from(new_saver, durability):
    for given in ([0], [6], [12]):
        await growing(new_saver()).ainvoke({"items": given}, config("t"), durability=durability)
    before = (await growing(new_saver()).aget_state(config("t"))).values
    assert before["items"] == list(range(18))
    await new_saver().aprune(["t"])
    assert (await growing(new_saver()).aget_state(config("t"))).values == before
    done = await growing(new_saver()).ainvoke({"items": [18]}, config("t"))
    assert done["items"] == list(range(24))


@pytest.mark.parametrize("durability", ["sync", "exit"])
async def test_the_history_of_delta_channels_is_what_walking_the_ancestors_finds(
    new_saver, durability
):
    graph = growing(new_saver())
    for given in ([0], [6], [12]):
        await graph.ainvoke({"items": given}, config("t"), durability=durability)
    states = [state async for state in graph.aget_state_history(config("t"))]
    fork = await graph.aupdate_state(states[-3].config, {"items": ["fork"]}, as_node="step")
    await graph.ainvoke({"items": ["more"]}, fork, durability=durability)
    walk = BaseCheckpointSaver.aget_delta_channel_history
    checkpoints = [each.config async for each in new_saver().alist(config("t"))]
    assert len(checkpoints) > 5
    for at in [config("t"), *checkpoints]:
        saver = new_saver()
        asked = {"config": at, "channels": ["items", "branch:to:step", "absent"]}
        assert await saver.aget_delta_channel_history(**asked) == await walk(saver, **asked)


async def test_pruning_without_delta_channels_leaves_one_checkpoint_with_all_its_values(new_saver):
    graph = asking(new_saver())
    await graph.ainvoke({"items": []}, config("t"))
    await graph.ainvoke(Command(resume="yes"), config("t"))
    before = await graph.aget_state(config("t"))
    await new_saver().aprune(["t"])
    after = await asking(new_saver()).aget_state(config("t"))
    assert (after.values, after.next, after.config) == (before.values, before.next, before.config)
    assert len([each async for each in new_saver().alist(config("t"))]) == 1
    await new_saver().aprune(["t"])
    assert (await asking(new_saver()).aget_state(config("t"))).values == before.values


async def test_a_run_goes_on_while_its_thread_is_pruned(new_saver):
    saver = new_saver()

    async def prune(_):
        await new_saver().aprune(["t"])
        return {"items": ["pruned"]}

    builder = StateGraph(Items)
    builder.add_node("prune", prune)
    builder.add_node("after", lambda _: {"items": ["after"]})
    builder.add_edge(START, "prune")
    builder.add_edge("prune", "after")
    graph = builder.compile(checkpointer=saver)
    for _ in range(3):
        done = await graph.ainvoke({"items": ["in"]}, config("t"), durability="sync")
    assert done["items"] == ["in", "pruned", "after"] * 3
    assert (await graph.aget_state(config("t"))).values == done


async def test_a_copied_thread_goes_on_by_itself(new_saver):
    await growing(new_saver()).ainvoke({"items": [0]}, config("from"))
    await new_saver().acopy_thread("from", "to")
    done = await growing(new_saver()).ainvoke({"items": [6]}, config("to"))
    assert done["items"] == list(range(12))
    source = await growing(new_saver()).aget_state(config("from"))
    assert source.values["items"] == list(range(6))


async def test_a_fork_from_an_old_checkpoint_becomes_the_newest(new_saver):
    graph = asking(new_saver())
    await graph.ainvoke({"items": []}, config("t"))
    await graph.ainvoke(Command(resume="yes"), config("t"))
    states = [state async for state in graph.aget_state_history(config("t"))]
    at_ask = next(state for state in states if state.next == ("ask",))
    fork = await asking(new_saver()).aupdate_state(at_ask.config, {"items": ["no"]}, as_node="ask")
    assert (await graph.aget_state(config("t"))).values["items"] == ["first", "no"]
    forked = await asking(new_saver()).ainvoke(None, fork)
    assert forked["items"] == ["first", "no", "last"]
    assert (await graph.aget_state(config("t"))).values == forked
    assert (await graph.aget_state(states[0].config)).values["items"] == ["first", "yes", "last"]


async def test_update_state_continues_from_the_newest(new_saver):
    graph = asking(new_saver())
    await graph.ainvoke({"items": []}, config("t"))
    await asking(new_saver()).aupdate_state(config("t"), {"items": ["by hand"]}, as_node="ask")
    done = await asking(new_saver()).ainvoke(None, config("t"))
    assert done["items"] == ["first", "by hand", "last"]
