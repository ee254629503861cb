"""What has left the log is read from the archive: no seam, no repetition, no silent hole."""

import asyncio

import pytest
from reading import PATIENCE_S, events_of, read_all, resume, run_seqs, take

from bridge import (
    END,
    ColdTierError,
    GapReason,
    ResumeStatus,
    RunRef,
    StreamGap,
    StreamNotFoundError,
    new_event,
)
from store import ArchiveLayout


@pytest.fixture
async def ids(bridge, run):
    """The ids of a run of forty events; those of another one lie between them."""
    await bridge.create("other", thread_id="thread-2")
    ids = [(await bridge.status(run)).first_id]
    for n in range(39):
        ids.append(await bridge.publish(run, "note", {"n": n}, metadata={"m": n}))
        await bridge.publish("other", "note", n)
    return ids


@pytest.mark.parametrize("keep", [1, 2, 20, 40])
@pytest.mark.parametrize("after", [1, 2, 20, 38, 39, 40, 41])
async def test_a_cursor_that_left_the_log_resumes_from_the_archive(
    bridge, run, ids, archive, keep, after
):
    ids.append(await bridge.publish_end(run))
    events = await archive(run)
    await bridge.trim(run, keep=keep)
    outcome, items = await resume(bridge, run, ids[after - 1])
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.RESUMED, 0)
    assert items == events[after:]
    assert [item.metadata for item in items] == [event.metadata for event in events[after:]]
    assert [item.frame for item in items] == [event.frame for event in events[after:]]


async def test_no_cursor_reads_the_run_from_its_birth(bridge, run, ids, archive):
    await bridge.publish_end(run)
    events = await archive(run)
    await bridge.trim(run, keep=3)
    outcome, items = await resume(bridge, run, None)
    assert outcome.status is ResumeStatus.FRESH
    assert items == events
    assert items[0].id == ids[0]


async def test_the_archive_may_lag_behind_the_log(bridge, run, ids, archive):
    await archive(run, up_to=30)
    await bridge.trim(run, keep=15)
    async with bridge.subscribe(run, last_event_id=ids[4]) as stream:
        assert run_seqs(await take(stream, 35)) == list(range(6, 41))
        await bridge.publish(run, "note", "live")
        await bridge.publish_end(run)
        *live, end = await take(stream, 3)
    assert run_seqs(live) == [41, 42]
    assert end is END


async def test_what_neither_tier_holds_is_a_gap_at_its_place(bridge, run, ids, archive):
    await bridge.publish_end(run)
    await archive(run, up_to=20, without={5, 6, 11})
    await bridge.trim(run, keep=11)
    outcome, items = await resume(bridge, run, ids[1])
    assert outcome.status is ResumeStatus.RESUMED
    assert run_seqs(items) == [3, 4, *range(7, 11), *range(12, 21), *range(31, 42)]
    gaps = [item for item in items if isinstance(item, StreamGap)]
    assert [(gap.missing, gap.reason) for gap in gaps] == [
        (2, GapReason.EVICTED), (1, GapReason.EVICTED), (10, GapReason.EVICTED)
    ]  # fmt: skip
    assert [gap.requested_event_id for gap in gaps] == [ids[3], ids[9], ids[19]]
    assert [gap.earliest_available_event_id for gap in gaps] == [ids[6], ids[11], ids[30]]


async def test_a_cursor_before_all_that_is_held_is_told_how_many_are_missing(
    bridge, run, ids, archive
):
    await bridge.publish_end(run)
    await archive(run, without=set(range(1, 11)))
    await bridge.trim(run, keep=5)
    outcome, (gap, *rest) = await resume(bridge, run, ids[3])
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.EVICTED, 6)
    assert (gap.missing, gap.earliest_available_event_id) == (6, ids[10])
    assert run_seqs(rest) == list(range(11, 42))
    assert len(events_of(rest)) == len(rest)


FORGED = {"another number of the run": (0, 1), "another place in the log": (1, 0)}


@pytest.mark.parametrize("shift", FORGED.values(), ids=FORGED)
async def test_the_archive_unmasks_a_cursor_that_never_was(bridge, run, ids, archive, shift):
    await bridge.publish_end(run)
    await archive(run)
    await bridge.trim(run, keep=5)
    await bridge.trim("other", keep=1)  # the place in the log is nobody's any more
    stream_seq, run_seq = map(int, ids[10].split("-"))
    cursor = f"{stream_seq + shift[0]}-{run_seq + shift[1]}"
    outcome, (gap, *rest) = await resume(bridge, run, cursor)
    assert outcome.status is ResumeStatus.UNKNOWN
    assert (gap.reason, gap.missing, gap.requested_event_id) == (GapReason.UNKNOWN, None, cursor)
    assert gap.earliest_available_event_id == ids[0]
    assert run_seqs(rest) == list(range(1, 42))


async def test_what_leaves_the_log_under_a_slow_reader_comes_from_the_archive(bridge, run, archive):
    async with bridge.subscribe(run) as stream:
        await take(stream, 1)
        for start in range(0, 6000, 500):
            await bridge.publish_many(run, [new_event("note", start + n) for n in range(500)])
        await bridge.publish_end(run)
        await archive(run)
        await bridge.trim(run, keep=100)
        async with asyncio.timeout(PATIENCE_S):
            items = [item async for item in stream]
    assert items.pop() is END
    assert len(events_of(items)) == len(items)
    assert run_seqs(items) == list(range(2, 6003))


async def test_trimming_and_archiving_under_many_readers_leaves_no_seam(bridge, run, archive):
    ids = [(await bridge.status(run)).first_id]

    async def publish():
        for start in range(0, 1000, 50):
            events = [new_event("note", start + n) for n in range(50)]
            ids.extend(await bridge.publish_many(run, events))
            await archive(run)
            await bridge.trim(run, keep=10)
        await bridge.publish_end(run)

    async def read(cursor):
        return run_seqs(await read_all(bridge, run, cursor))

    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
        publishing = tasks.create_task(publish())
        readers = []
        while not publishing.done():
            cursor = ids[len(ids) // 2]
            readers.append((cursor, tasks.create_task(read(cursor))))
            await asyncio.wait([publishing], timeout=0.05)
    for cursor, reader in readers:
        assert reader.result() == list(range(int(cursor.split("-")[1]) + 1, 1003))


async def test_an_archive_that_cannot_be_read_is_an_error_and_no_gap(
    bridge, run, ids, archive, archive_root
):
    await archive(run)
    await bridge.trim(run, keep=5)
    path = ArchiveLayout(archive_root).run(RunRef("thread-1", run))
    path.unlink()
    path.mkdir()
    with pytest.raises(ColdTierError) as caught:
        await resume(bridge, run, ids[3])
    assert caught.value.retryable
    path.rmdir()


async def test_a_deleted_run_is_not_read_from_its_file(bridge, run, ids, archive):
    await archive(run)
    await bridge.trim(run, keep=5)
    async with bridge.subscribe(run, last_event_id=ids[35]) as stream:
        await take(stream, 4)
        await bridge.cleanup(run)
        assert await take(stream, 1) == [END]
    with pytest.raises(StreamNotFoundError):
        await read_all(bridge, run, ids[3])
