"""Who may write a thread's checkpoints, and what a rollback restores."""

import asyncio
import operator
from typing import Annotated, TypedDict

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from bridge import CheckpointFencedError
from runs.langgraph import JetStreamSaver


class Items(TypedDict):
    items: Annotated[list, operator.add]


def asking(saver):
    builder = StateGraph(Items)
    builder.add_node("ask", lambda _: {"items": [interrupt("first?"), interrupt("second?")]})
    builder.add_node("last", lambda _: {"items": ["last"]})
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "last")
    builder.add_edge("last", END)
    return builder.compile(checkpointer=saver)


def config(thread_id="t", run_id=None, ns=""):
    said = {"thread_id": thread_id, "checkpoint_ns": ns}
    return {"configurable": said if run_id is None else {**said, "run_id": run_id}}


def checkpoint(value, version="1", checkpoint_id=None):
    made = empty_checkpoint()
    made["channel_values"] = {"x": value}
    made["channel_versions"] = {"x": version}
    if checkpoint_id is not None:
        made["id"] = checkpoint_id
    return made


async def put(saver, at, value, version="1", checkpoint_id=None):
    made = checkpoint(value, version, checkpoint_id)
    return await saver.aput(at, made, {"step": 0}, {"x": version})


@pytest.fixture
def new_saver(bridge):
    return lambda: JetStreamSaver(bridge.checkpoints)


async def everything(bridge):
    """All messages of the checkpoints' stream, as they are stored."""
    state = await bridge.checkpoints._removal._reader.state()
    return state["messages"]


async def values(saver, thread_id="t"):
    return [each.checkpoint["channel_values"]["x"] async for each in saver.alist(config(thread_id))]


async def test_a_claim_that_a_process_remembers_is_looked_up_when_another_process_took_it(
    bridge, connect
):
    ours, theirs = bridge.checkpoints, (await connect()).checkpoints
    first = await ours.claim("t", run_id="run-1", attempt=1)
    second = await theirs.claim("t", run_id="run-2", attempt=1)
    third = await ours.claim("t", run_id="run-3", attempt=1)
    assert first.seq < second.seq < third.seq
    with pytest.raises(CheckpointFencedError):
        await theirs.append(second, "", "c-1", b"{}")
    await theirs.claim("t", run_id="run-3", attempt=2)
    with pytest.raises(CheckpointFencedError):
        await ours.claim("t", run_id="run-3", attempt=1)
    # What is remembered would refuse it, and is true no more.
    await ours.claim("t", run_id="run-3", attempt=3)
    await theirs.claim("t", run_id="run-4", attempt=1)
    again = await ours.claim("t", run_id="run-3", attempt=1)
    await ours.append(again, "", "c-1", b"{}")


async def test_a_writer_that_was_replaced_stores_nothing_more(new_saver):
    old, new = new_saver(), new_saver()
    at = await put(old, config(), "old 1")
    assert (await new.aget_tuple(config())).checkpoint["channel_values"] == {"x": "old 1"}
    at_new = await put(new, at, "new 2", "2")
    with pytest.raises(CheckpointFencedError, match="thread t;"):
        await put(old, at, "old 2", "2")
    with pytest.raises(CheckpointFencedError):
        await old.aput_writes(at, [("x", "late result")], "task")
    with pytest.raises(CheckpointFencedError):
        await put(old, config(ns="sub:1"), "in a new lane")
    await put(new, at_new, "new 3", "3")
    assert await values(new) == ["new 3", "new 2", "old 1"]
    assert (await new.aget_tuple(at)).pending_writes == []


async def test_the_successor_is_never_refused_because_the_old_writer_was_quicker(new_saver):
    old, new = new_saver(), new_saver()
    at = await put(old, config(), "1")
    await new.aget_tuple(config())
    await put(old, at, "old 2", "2")  # between the other one's read and its first write
    at_new = await put(new, at, "new 2", "2")
    await put(new, at_new, "new 3", "3")
    with pytest.raises(CheckpointFencedError):
        await put(old, at, "old 3", "3")
    assert (await values(new))[0] == "new 3"


async def test_an_earlier_attempt_cannot_take_a_thread_back(new_saver):
    first, second = new_saver(), new_saver()
    await first.claim("t", "run", 1)
    at = await put(first, config(), "1")
    await second.claim("t", "run", 2)
    await first.aget_tuple(config())
    with pytest.raises(CheckpointFencedError, match="run run has thread t;"):
        await put(first, at, "2", "2")
    with pytest.raises(CheckpointFencedError):
        await new_saver().claim("t", "run", 1)
    await put(second, at, "by the second", "2")


async def test_one_saver_writes_one_run_after_the_other_although_others_write_between(new_saver):
    ours, theirs = new_saver(), new_saver()
    for number in range(3):
        for saver in (ours, theirs):
            found = await saver.aget_tuple(config())
            at = config() if found is None else found.config
            await put(saver, at, number, str(number + 1))
    assert await values(ours) == [2, 2, 1, 1, 0, 0]


async def test_the_newest_is_what_was_stored_last_whatever_the_clock_says(new_saver):
    saver = new_saver()
    ids = ["1f0fffff-0000-6000-8000-000000000000", "1e000000-0000-6000-8000-000000000000"]
    at = await put(saver, config(), "by a clock that is ahead", "1", ids[0])
    await put(saver, at, "later, by a clock that is behind", "2", ids[1])
    newest = await new_saver().aget_tuple(config())
    assert newest.checkpoint["channel_values"] == {"x": "later, by a clock that is behind"}
    listed = [each.checkpoint["id"] async for each in saver.alist(config())]
    assert listed == [ids[1], ids[0]]
    before = {"configurable": {**config()["configurable"], "checkpoint_id": ids[1]}}
    assert [e.checkpoint["id"] async for e in saver.alist(config(), before=before)] == [ids[0]]


def shown(state):
    tasks = [(task.id, task.name, task.interrupts, task.error) for task in state.tasks]
    return state.values, state.next, state.config, state.interrupts, state.metadata, tasks


async def test_rolling_a_resumed_interrupt_back_asks_the_question_again(bridge, new_saver):
    await asking(new_saver()).ainvoke({"items": []}, config(run_id="1"))
    await asking(new_saver()).ainvoke(Command(resume="one"), config(run_id="2"))
    state = await asking(new_saver()).aget_state(config())
    assert [each.value for each in state.interrupts] == ["second?"]
    messages = await everything(bridge)

    done = await asking(new_saver()).ainvoke(Command(resume="two"), config(run_id="3"))
    assert done["items"] == ["one", "two", "last"]
    assert await bridge.checkpoints.roll_back("t", "3") > 0

    again = await asking(new_saver()).aget_state(config())
    assert shown(again) == shown(state)
    assert await everything(bridge) == messages
    assert await bridge.checkpoints.roll_back("t", "3") == 0
    done = await asking(new_saver()).ainvoke(Command(resume="other"), config(run_id="4"))
    assert done["items"] == ["one", "other", "last"]


@pytest.mark.parametrize("where", ["configurable", "metadata"])
async def test_a_run_is_rolled_back_wherever_its_id_was_said(bridge, new_saver, where):
    await asking(new_saver()).ainvoke({"items": []}, config(run_id="1"))
    messages = await everything(bridge)
    said = config()
    said[where] = {**said.get(where, {}), "run_id": "2"}
    await asking(new_saver()).ainvoke(Command(resume="one"), said)
    await asking(new_saver()).ainvoke(Command(resume="two"), said)
    assert await everything(bridge) > messages
    await bridge.checkpoints.roll_back("t", "2")
    assert await everything(bridge) == messages


async def test_a_run_that_was_rolled_back_stores_nothing_more(bridge, new_saver):
    before, zombie = new_saver(), new_saver()
    at = await put(before, config(run_id="1"), "kept")
    await put(zombie, {**at, "metadata": {"run_id": "2"}}, "gone", "2")
    await bridge.checkpoints.roll_back("t", "2")
    late = {**at, "metadata": {"run_id": "2"}}
    for saver in (zombie, new_saver()):
        with pytest.raises(CheckpointFencedError):
            await put(saver, late, "late", "2")
        with pytest.raises(CheckpointFencedError):
            await saver.aput_writes(late, [("x", "late")], "task")
    assert await values(before) == ["kept"]


async def test_all_attempts_of_a_run_are_rolled_back(bridge, new_saver):
    at = await put(new_saver(), config(run_id="1"), "kept")
    for attempt in (1, 2):
        saver = new_saver()
        await saver.claim("t", "2", attempt)
        at = await put(saver, at, attempt, str(attempt + 1))
    assert await values(saver) == [2, 1, "kept"]
    await bridge.checkpoints.roll_back("t", "2")
    assert await values(saver) == ["kept"]


async def test_a_newer_run_is_never_rolled_back(bridge, new_saver):
    at = await put(new_saver(), config(run_id="1"), "first")
    saver = new_saver()
    await saver.aget_tuple(config())
    await put(saver, {**at, "metadata": {"run_id": "2"}}, "second", "2")
    assert await bridge.checkpoints.roll_back("t", "1") == 0
    assert await values(saver) == ["second", "first"]


async def test_deleting_a_run_that_answered_an_interrupt_opens_it_again(new_saver):
    await asking(new_saver()).ainvoke({"items": []}, config(run_id="1"))
    state = await asking(new_saver()).aget_state(config())
    await asking(new_saver()).ainvoke(Command(resume="one"), config(run_id="2"))
    await new_saver().adelete_for_runs(["2"])
    assert shown(await asking(new_saver()).aget_state(config())) == shown(state)


async def test_values_that_later_checkpoints_need_survive_the_run_that_stored_them(new_saver):
    saver = new_saver()
    first = checkpoint("of run 1")
    at = await saver.aput(config(), first, {"run_id": "1"}, {"x": "1"})
    second = checkpoint("of run 1")
    second["channel_values"]["y"] = "of run 2"
    second["channel_versions"]["y"] = "1"
    at = await saver.aput(at, second, {"run_id": "2"}, {"y": "1"})
    for _ in range(2):
        await new_saver().adelete_for_runs(["1"])
        found = [each async for each in new_saver().alist(config())]
        assert [each.checkpoint["channel_values"] for each in found] == [
            {"x": "of run 1", "y": "of run 2"}
        ]


async def test_a_deleted_thread_takes_no_late_checkpoint(bridge, new_saver):
    saver = new_saver()
    at = await put(saver, config(), "x" * 100)
    await saver.aput_writes(at, [("x", 1)], "task")
    await new_saver().adelete_thread("t")
    assert await everything(bridge) == 1  # the claim that keeps the writer out
    with pytest.raises(CheckpointFencedError):
        await put(saver, at, "late", "2")
    with pytest.raises(CheckpointFencedError):
        await saver.aput_writes(at, [("x", "late")], "task")
    assert await everything(bridge) == 1


async def test_deleting_a_thread_that_has_nothing_stores_nothing(bridge, new_saver):
    await new_saver().adelete_thread("nobody")
    assert await everything(bridge) == 0


async def test_many_writes_at_one_time_are_all_stored(new_saver):
    saver = new_saver()
    at = await put(saver, config(), "1")
    await asyncio.gather(
        *(saver.aput_writes(at, [("x", number)], f"task {number}") for number in range(200))
    )
    found = await new_saver().aget_tuple(config())
    assert sorted(value for _, _, value in found.pending_writes) == list(range(200))
