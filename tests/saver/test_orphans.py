"""Parts of a checkpoint whose writer was killed are removed, once nobody can name them any more."""

import asyncio
import multiprocessing
import signal

import pytest
from killed_writer import PARTS, store_and_die

from bridge import RetentionSettings, Terminal
from bridge.ids import shard

SIZE = 12 << 20


@pytest.fixture
def killed(server):
    """Let a process be killed in the middle of a checkpoint: ``await killed(thread, run)``."""
    nats = {"url": server.url, "user": server.user, "password": server.password}

    async def kill(thread_id, run_id):
        process = multiprocessing.get_context("spawn").Process(
            target=store_and_die, args=(nats, thread_id, run_id, SIZE)
        )
        process.start()
        await asyncio.to_thread(process.join, 60)
        assert process.exitcode == -signal.SIGKILL

    return kill


async def parts(bridge, thread_id="t"):
    """Count the parts of a thread that no checkpoint names, and those of whole ones."""
    log = bridge.checkpoints
    subjects = await log._reader.subjects(log._subjects.parts_of_shard(shard(thread_id)))
    keys = [log._subjects.key_of(subject) for subject in subjects]
    whole = set(await log.keys(thread_id))
    return sum(key not in whole for key in keys), sum(key in whole for key in keys)


async def sweep(bridge, thread_id="t"):
    await bridge.checkpoints.orphans(bridge._log).visit(shard(thread_id))


async def content(bridge, entry_id, thread_id="t"):
    found = await bridge.checkpoints.find(thread_id, "", entry_id)
    return None if found is None else found.payload


async def test_parts_go_when_their_run_has_ended(bridge, killed):
    await bridge.create("r", thread_id="t")
    await killed("t", "r")
    assert (await parts(bridge))[0] == PARTS
    await sweep(bridge)
    assert (await parts(bridge))[0] == PARTS  # an attempt may still be under way
    await bridge.publish_terminal("r", Terminal.DEAD_LETTER, {"reason": "worker_lost"})
    await sweep(bridge)
    assert (await parts(bridge))[0] == 0
    assert await content(bridge, "whole") == b"w" * SIZE
    assert await content(bridge, "torn") is None


async def test_parts_go_when_another_writer_has_the_thread(bridge, killed):
    await killed("t", "nobodys")
    await sweep(bridge)
    assert (await parts(bridge))[0] == PARTS
    claim = await bridge.checkpoints.claim("t")
    await sweep(bridge)
    assert (await parts(bridge))[0] == 0
    await bridge.checkpoints.append(claim, "", "next", b"n" * SIZE)
    await sweep(bridge)
    assert (await parts(bridge))[0] == 0
    for entry_id, byte in (("whole", b"w"), ("next", b"n")):
        assert await content(bridge, entry_id) == byte * SIZE


async def test_a_checkpoint_that_is_named_behind_a_look_at_it_keeps_its_parts(bridge):
    log = bridge.checkpoints
    claim = await log.claim("t")
    publish, find_claim = log._writer.publish, log._claims.find_by_token
    all_but_named, go_on = asyncio.Event(), asyncio.Event()

    async def publish_parts_and_wait(claim, subject, payload, headers):
        if headers:  # what names the parts
            all_but_named.set()
            await go_on.wait()
        await publish(claim, subject, payload, headers)

    async def find_claim_after_both_are_stored(thread):
        if not go_on.is_set():
            go_on.set()
            await writing
            await log.claim("t")
        return await find_claim(thread)

    log._writer.publish = publish_parts_and_wait
    log._claims.find_by_token = find_claim_after_both_are_stored
    writing = asyncio.create_task(log.append(claim, "", "a", b"a" * SIZE))
    await all_but_named.wait()
    await sweep(bridge)
    assert go_on.is_set()
    assert await content(bridge, "a") == b"a" * SIZE


async def test_a_removal_that_was_cut_off_is_finished(bridge):
    log = bridge.checkpoints
    claim = await log.claim("t")
    key = await log.append(claim, "", "a", b"a" * SIZE)
    await log.append(claim, "", "b", b"b" * SIZE)
    await log._removal.hide(key)
    await log.claim("t")
    lost, whole = await parts(bridge)
    assert lost == whole
    await sweep(bridge)
    assert await parts(bridge) == (0, whole)
    assert await content(bridge, "b") == b"b" * SIZE


async def test_what_is_being_written_copied_and_kept_is_not_disturbed(bridge, connect):
    log = bridge.checkpoints
    done = asyncio.Event()

    async def go_round():
        other = await connect()
        while not done.is_set():
            for thread_id in ("t", "copy"):
                await sweep(other, thread_id)

    async def write():
        claim = await log.claim("t", run_id="r")
        for number in range(4):
            key = await log.append(claim, "", f"e{number}", bytes([number]) * SIZE)
            await log.annotate(claim, "", f"e{number}", b"n" * SIZE)
        entry = await log.find("t", "", "e0")
        await log.copy("t", "copy")
        await log.keep(entry)
        done.set()
        return entry.key, key

    async with asyncio.TaskGroup() as group:
        group.create_task(go_round())
        writing = group.create_task(write())
    kept, last = writing.result()
    assert (await log.read([kept]))[kept].payload == bytes(SIZE)
    assert (await log.find("t", "", "e3")).key == last
    for thread_id in ("t", "copy"):
        for number in (1, 2, 3):
            entry = await log.find(thread_id, "", f"e{number}")
            assert entry.payload == bytes([number]) * SIZE
            assert await log.notes(entry) == [b"n" * SIZE]


async def test_whoever_sweeps_the_log_does_it(connect, killed, eventually):
    bridge = await connect(retention=RetentionSettings(sweep_interval_s=0.5))
    await bridge.create("r", thread_id="t")
    await killed("t", "r")
    await bridge.publish_end("r")
    async with bridge.sweeping():

        async def is_clean():
            return (await parts(bridge))[0] == 0

        await eventually(is_clean, within_s=20)
    assert await content(bridge, "whole") == b"w" * SIZE
