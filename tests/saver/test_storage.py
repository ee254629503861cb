"""What is stored of large, many and damaged checkpoints, and who may ask from where."""

import asyncio
import dataclasses
import importlib
import subprocess
import sys
from contextlib import AsyncExitStack, suppress

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from bridge import (
    ApiError,
    BridgeSettings,
    CheckpointDamagedError,
    CheckpointFencedError,
    CheckpointSettings,
    CheckpointTooLargeError,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    StreamCapacityExceededError,
)
from bridge.publication import publish_once
from bridge.server.cluster import EmbeddedCluster
from runs import BlockingCallError, LangGraphMissingError
from runs.langgraph import JetStreamSaver

MIB = 1 << 20


@dataclasses.dataclass
class Secret:
    text: str


def config(thread_id="t", checkpoint_id=None):
    said = {"thread_id": thread_id, "checkpoint_ns": ""}
    return {
        "configurable": said if checkpoint_id is None else {**said, "checkpoint_id": checkpoint_id}
    }


async def put(saver, at, versions, **values):
    made = empty_checkpoint()
    made["channel_values"] = values
    made["channel_versions"] = dict(versions)
    new = {name: version for name, version in versions.items() if name in values}
    return await saver.aput(at, made, {"step": 0}, new)


async def stored(bridge):
    return (await bridge.checkpoints._removal._reader.state())["messages"]


@pytest.mark.parametrize("size", [5 * MIB, 8 * MIB - 2048, 8 * MIB, 21 * MIB])
async def test_large_values_come_back_whole(bridge, saver, size):
    value = b"abcdefgh" * (size // 8)
    at = await put(saver, config(), {"big": "1"}, big=value)
    await saver.aput_writes(at, [("big", value), ("small", 1)], "task")
    await put(saver, at, {"big": "1", "small": "1"}, small=2)
    reader = JetStreamSaver(bridge.checkpoints)
    found = await reader.aget_tuple(at)
    assert found.checkpoint["channel_values"]["big"] == value
    assert [each[2] for each in found.pending_writes] == [value, 1]
    newest = await reader.aget_tuple(config())
    assert newest.checkpoint["channel_values"] == {"big": value, "small": 2}
    await saver.acopy_thread("t", "copy")
    await saver.aprune(["t"])
    await saver.adelete_for_runs(["nobody"])
    for thread_id in ("t", "copy"):
        newest = await reader.aget_tuple(config(thread_id))
        assert newest.checkpoint["channel_values"] == {"big": value, "small": 2}
    await saver.adelete_thread("t")
    await saver.adelete_thread("copy")
    assert await stored(bridge) == 2  # the claims


async def test_a_value_that_did_not_change_is_stored_once(bridge, saver):
    at = config()
    for number in range(20):
        changed = {"big": "x" * MIB} if number == 0 else {"small": number}
        at = await put(saver, at, {"big": "1", "small": str(number)}, **changed)
    state = await bridge.checkpoints._removal._reader.state()
    assert state["bytes"] < 1.2 * MIB
    fresh = JetStreamSaver(bridge.checkpoints)
    await put(fresh, at, {"big": "1", "small": "20"}, small=20)
    assert (await bridge.checkpoints._removal._reader.state())["bytes"] < 1.2 * MIB
    found = await fresh.aget_tuple(config())
    assert found.checkpoint["channel_values"] == {"big": "x" * MIB, "small": 20}


async def test_what_exceeds_the_limit_is_refused_before_anything_is_stored(connect):
    bridge = await connect(checkpoints=CheckpointSettings(max_bytes=10 * MIB))
    saver = JetStreamSaver(bridge.checkpoints)
    at = await put(saver, config(), {"x": "1"}, x="small")
    before = await stored(bridge)
    for attempt in (
        put(saver, at, {"x": "2"}, x="y" * 10 * MIB),
        saver.aput_writes(at, [("x", "y" * 10 * MIB)], "task"),
    ):
        with pytest.raises(CheckpointTooLargeError, match="JETRUN_CHECKPOINTS__MAX_BYTES"):
            await attempt
    assert await stored(bridge) == before
    found = await saver.aget_tuple(config())
    assert found.checkpoint["channel_values"] == {"x": "small"}


async def fill_up(bridge):
    """Fill the checkpoints' stream to the last byte with what belongs to nobody."""
    for size in (100_000, 10_000, 1000, 100, 0):
        with suppress(ApiError):
            while True:
                await publish_once(bridge._connection, "jetrun.part.0", b"x" * size, b"")


@pytest.mark.parametrize("remove", ["roll_back", "erase"])
async def test_a_full_stream_refuses_checkpoints_and_takes_rollbacks_and_deletions(connect, remove):
    limits = CheckpointSettings(max_total_bytes=2 * MIB, max_bytes=MIB)
    bridge = await connect(checkpoints=limits)
    kept, saver = JetStreamSaver(bridge.checkpoints), JetStreamSaver(bridge.checkpoints)
    await put(kept, config("other"), {"x": "1"}, x=1)
    at = {"configurable": {**config()["configurable"], "run_id": "run"}}
    await put(saver, at, {"x": "1"}, x="x" * 500_000)
    await fill_up(bridge)
    with pytest.raises(StreamCapacityExceededError):
        await put(saver, at, {"x": "2"}, x="small")
    with pytest.raises(StreamCapacityExceededError):
        await JetStreamSaver(bridge.checkpoints).claim("t", "run")
    if remove == "erase":
        await bridge.checkpoints.erase("t")
    else:
        assert await bridge.checkpoints.roll_back("t", "run") == 1
    assert await bridge.checkpoints.keys("t") == []
    with pytest.raises(CheckpointFencedError):
        await put(saver, at, {"x": "1"}, x="late")
    assert (await kept.aget_tuple(config("other"))).checkpoint["channel_values"] == {"x": 1}


async def test_more_checkpoints_than_one_answer_holds_are_listed_in_order(saver):
    at, ids = config(), []
    for number in range(1100):
        at = await put(saver, at, {"x": str(number)}, x=number)
        ids.append(at["configurable"]["checkpoint_id"])
    listed = [each.checkpoint["channel_values"]["x"] async for each in saver.alist(config())]
    assert listed == list(reversed(range(1100)))
    before = config(checkpoint_id=ids[5])
    assert [e.checkpoint["id"] async for e in saver.alist(config(), before=before)] == ids[4::-1]
    some = [e.checkpoint["id"] async for e in saver.alist(config(), before=before, limit=2)]
    assert some == [ids[4], ids[3]]
    assert [e async for e in saver.alist(config(), limit=0)] == []


async def test_all_threads_are_listed_the_one_that_was_claimed_last_first(bridge):
    for name in ("a", "b.c", "a"):
        await put(JetStreamSaver(bridge.checkpoints), config(name), {"x": "1"}, x=name)
    saver = JetStreamSaver(bridge.checkpoints)
    said = [each.config["configurable"]["thread_id"] async for each in saver.alist(None)]
    assert said == ["a", "b.c", "a"]


async def test_a_checkpoint_that_lost_a_value_says_so(bridge, saver):
    at = await put(saver, config(), {"x": "1"}, x="needed")
    await put(saver, at, {"x": "1", "y": "1"}, y=1)
    (_, old) = await bridge.checkpoints.keys("t")
    await bridge.checkpoints.remove(old)
    with pytest.raises(CheckpointDamagedError, match="the value of 'x'"):
        await JetStreamSaver(bridge.checkpoints).aget_tuple(config())


async def test_what_is_removed_while_it_is_read_is_left_out(bridge, saver, monkeypatch):
    at = await put(saver, config(), {"x": "1"}, x="needed")
    await put(saver, at, {"x": "1", "y": "1"}, y=1)
    read = bridge.checkpoints.read

    async def too_late(keys):
        await bridge.checkpoints.erase("t")
        return await read(keys)

    monkeypatch.setattr(bridge.checkpoints, "read", too_late)
    assert await saver.aget_tuple(config()) is None


async def test_an_allow_list_decides_what_is_decoded_and_shares_the_claim(bridge):
    strict = JsonPlusSerializer(allowed_msgpack_modules=None)
    saver = JetStreamSaver(bridge.checkpoints, serde=strict)
    allowed = saver.with_allowlist([(Secret.__module__, Secret.__name__)])
    assert allowed is not saver
    at = await put(allowed, config(), {"x": "1"}, x=Secret("s"))
    assert (await allowed.aget_tuple(at)).checkpoint["channel_values"] == {"x": Secret("s")}
    refused = (await saver.aget_tuple(at)).checkpoint["channel_values"]
    assert not isinstance(refused["x"], Secret)
    await put(saver, at, {"x": "2"}, x=1)  # still the same writer
    await put(allowed, at, {"x": "3"}, x=2)


async def test_sync_methods_do_the_same_from_another_thread(saver):
    def work():
        made = empty_checkpoint()
        made["channel_values"], made["channel_versions"] = {"x": 1}, {"x": "1"}
        at = saver.put(config(), made, {"step": 1, "run_id": "r"}, {"x": "1"})
        saver.put_writes(at, [("x", 2)], "task")
        found = saver.get_tuple(config())
        assert (found.checkpoint["id"], found.pending_writes) == (made["id"], [("task", "x", 2)])
        assert [each.checkpoint["id"] for each in saver.list(config())] == [made["id"]]
        saver.copy_thread("t", "u")
        saver.prune(["u"])
        saver.delete_for_runs(["nobody"])
        assert saver.get_tuple(config("u")).checkpoint["channel_values"] == {"x": 1}
        history = saver.get_delta_channel_history(config=at, channels=["x"])
        assert history["x"]["writes"] == []
        saver.delete_thread("t")
        assert saver.get_tuple(config()) is None

    await asyncio.to_thread(work)


async def test_sync_methods_on_the_loop_itself_say_what_to_call_instead(saver):
    for call in (
        lambda: saver.get_tuple(config()),
        lambda: saver.delete_thread("t"),
        lambda: list(saver.list(config())),
        lambda: saver.put_writes(config(checkpoint_id="x"), [("x", 1)], "task"),
    ):
        with pytest.raises(BlockingCallError, match=r"await a\w+\(\)"):
            call()


@pytest.mark.parametrize("strategy", ["", "keep_all"])
async def test_an_unknown_strategy_removes_nothing(saver, strategy):
    await put(saver, config(), {"x": "1"}, x=1)
    with pytest.raises(ValueError, match="keep_latest or delete"):
        await saver.aprune(["t"], strategy=strategy)
    assert await saver.aget_tuple(config()) is not None


async def test_calls_outlast_a_server_that_is_away(server, saver):
    at = await put(saver, config(), {"x": "1"}, x=1)
    await server.kill()
    putting = asyncio.create_task(put(saver, at, {"x": "2"}, x=2))
    noting = asyncio.create_task(saver.aput_writes(at, [("x", 3)], "task"))
    reading = asyncio.create_task(saver.aget_tuple(at))
    await server.restart()
    assert (await reading).checkpoint["channel_values"] == {"x": 1}
    await asyncio.gather(putting, noting)
    assert [e.checkpoint["channel_values"]["x"] async for e in saver.alist(config())] == [2, 1]
    assert (await saver.aget_tuple(at)).pending_writes == [("task", "x", 3)]


async def test_a_cluster_stores_many_writes_of_one_thread_at_one_time(tmp_path):
    cluster = EmbeddedCluster(tmp_path)
    async with AsyncExitStack() as stack:
        for node in cluster.nodes:
            await stack.enter_async_context(node)
        nats = NatsSettings(url=cluster.url, user=cluster.user, password=cluster.password)
        settings = BridgeSettings(nats=nats, log=LogSettings(replicas=3))
        bridge = await stack.enter_async_context(JetStreamBridge(settings))
        saver = JetStreamSaver(bridge.checkpoints)
        at = await put(saver, config(), {"x": "1"}, x=1)
        await asyncio.gather(
            *(saver.aput_writes(at, [("x", number)], f"task {number}") for number in range(100))
        )
        found = await JetStreamSaver(bridge.checkpoints).aget_tuple(config())
        assert sorted(value for _, _, value in found.pending_writes) == list(range(100))
        await put(JetStreamSaver(bridge.checkpoints), at, {"x": "2"}, x=2)
        with pytest.raises(CheckpointFencedError):
            await saver.aput_writes(at, [("x", 0)], "late")


def test_without_the_extra_the_error_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "runs.langgraph")
    monkeypatch.setitem(sys.modules, "langgraph.checkpoint.base", None)
    with pytest.raises(LangGraphMissingError, match=r'pip install "jetrun\[langgraph\]"'):
        importlib.import_module("runs.langgraph")


def test_processes_without_graphs_do_not_import_langgraph():
    told = "[name for name in sys.modules if name.startswith(('langgraph', 'langchain'))]"
    code = f"import sys, api.app, bridge, runs, runs.worker, store.sink; print({told})"
    command = [sys.executable, "-P", "-c", code]
    ended = subprocess.run(command, capture_output=True, timeout=60, check=True)
    assert ended.stdout == b"[]\n"
