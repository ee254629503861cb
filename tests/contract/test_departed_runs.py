"""A run that has left the log altogether: ended for ever, and read from the archive."""

from contextlib import asynccontextmanager

import pytest
from reading import events_of, read_all, resume, run_seqs

from bridge import (
    END,
    BridgeSettings,
    EmbeddedServer,
    GapReason,
    JetStreamBridge,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
    ResumeStatus,
    RetentionSettings,
    StreamCapacityExceededError,
    StreamGap,
    StreamNotFoundError,
    StreamStatus,
    StreamTerminatedError,
    new_event,
)
from store import ArchiveColdTier

LIMITS = {"max_runs": 2, "sweep_interval_s": 0.2}
EVENTS = 8
LATE_CALLS = {
    "create": lambda bridge, run_id: bridge.create(run_id, thread_id="thread-1"),
    "publish": lambda bridge, run_id: bridge.publish(run_id, "note", 1),
    "publish_many": lambda bridge, run_id: bridge.publish_many(run_id, [new_event("note", 1)]),
    "begin_attempt": lambda bridge, run_id: bridge.begin_attempt(run_id, 2),
}


@pytest.fixture(params=["memory", "jetstream"])
async def make_bridge(request, tmp_path, archive_root):
    """Make bridges to one log that has room for two runs."""
    cold = ArchiveColdTier(archive_root)
    if request.param == "memory":
        yield MemoryStreamBridge(MemorySettings(**LIMITS), cold=cold).peer
        return
    async with EmbeddedServer(tmp_path / "nats") as server:
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        retention = RetentionSettings(**LIMITS, capacity_poll_s=0.05)
        settings = BridgeSettings(nats=nats, retention=retention)
        yield lambda: JetStreamBridge(settings, cold=cold)


class WholeArchive:
    async def archived_run_seq(self, _):
        return 1 << 40


@asynccontextmanager
async def letting_go(bridge):
    """The sweep that makes room; the memory log makes it by itself."""
    if isinstance(bridge, MemoryStreamBridge):
        yield
    else:
        async with bridge.retention.letting_go(WholeArchive()):
            yield


@pytest.fixture
async def ids(bridge, run):
    """The ids of all events of the run, which has ended and is still in the log."""
    ids = [(await bridge.status(run)).first_id]
    ids += [await bridge.publish(run, "note", n) for n in range(EVENTS - 2)]
    return [*ids, await bridge.publish_terminal(run, "error", {"error": "E", "message": "\u00e9"})]


@pytest.fixture
def leave(bridge, ids, eventually):
    """Let new runs drive the ended one out of the log."""

    async def is_created(run_id):
        try:
            await bridge.create(run_id, thread_id="thread-of-others")
        except StreamCapacityExceededError:
            return False
        return True

    async def leave():
        async with letting_go(bridge):
            for run_id in ("new-1", "new-2"):
                await eventually(lambda name=run_id: is_created(name))
        assert (await bridge.get_stats()).total_streams == 2
        return ids

    return leave


@pytest.mark.parametrize("after", [0, 1, 5, EVENTS - 1, EVENTS])
async def test_a_run_that_left_is_followed_from_the_archive_alone(
    bridge, run, leave, archive, connect, after
):
    events = await archive(run)
    ids = await leave()
    for one in (bridge, await connect()):
        outcome, items = await resume(one, run, ids[after - 1] if after else None)
        assert outcome.status is (ResumeStatus.RESUMED if after else ResumeStatus.FRESH)
        assert items == events[after:]
        assert [item.frame for item in items] == [event.frame for event in events[after:]]


async def test_a_cursor_that_is_not_the_runs_is_unmasked_by_the_archive(
    bridge, run, ids, leave, archive
):
    events = await archive(run)
    await leave()
    sequence, run_seq = (int(part) for part in ids[-1].split("-"))
    for forged in (f"{sequence}-{run_seq - 1}", f"{sequence + 1}-{run_seq}", "yesterday"):
        _, (gap, *rest) = await resume(bridge, run, forged)
        assert (gap.missing, gap.earliest_available_event_id) == (None, ids[0])
        assert rest == events


async def test_without_an_archive_its_end_is_left_and_what_is_missing_is_counted(
    bridge, run, ids, leave
):
    await leave()
    _, [end] = await resume(bridge, run, None)
    assert (end.id, end.event, end.data["message"]) == (ids[-1], "error", "\u00e9")
    outcome, (gap, end) = await resume(bridge, run, ids[2])
    assert (outcome.status, gap.reason) == (ResumeStatus.EVICTED, GapReason.EVICTED)
    assert (gap.missing, end.id) == (EVENTS - 4, ids[-1])
    assert (await resume(bridge, run, ids[-1]))[1] == []


async def test_its_status_is_how_it_ended(bridge, run, ids, leave, connect):
    before = await bridge.status(run)
    await leave()
    for one in (bridge, await connect()):
        info = await one.status(run)
        assert (info.thread_id, info.status) == ("thread-1", StreamStatus.ERRORED)
        assert (info.first_id, info.last_id, info.terminal.id) == (ids[-1],) * 3
        assert (info.event_count, info.total_bytes) == (EVENTS, before.total_bytes)
        assert info.terminal.payload == before.terminal.payload


@pytest.mark.parametrize("call", LATE_CALLS.values(), ids=LATE_CALLS)
async def test_nothing_revives_a_run_that_left(bridge, run, leave, connect, call):
    """Wound: a publish after cleanup revived the run."""
    writer = await connect()
    with pytest.raises(StreamTerminatedError):
        await writer.publish(run, "note", 0)
    await leave()
    for one in (writer, bridge, await connect()):
        with pytest.raises(StreamTerminatedError):
            await call(one, run)
    assert (await bridge.get_stats()).total_streams == 2
    assert (await bridge.status(run)).event_count == EVENTS


async def test_a_late_terminal_gets_the_first_ones_id(bridge, run, ids, leave, connect):
    await leave()
    for one in (bridge, await connect()):
        assert await one.publish_end(run) == await one.cancel(run) == ids[-1]
    assert (await bridge.status(run)).status is StreamStatus.ERRORED


async def test_cleanup_reaches_a_run_that_left(bridge, run, ids, leave, connect, archive):
    await archive(run)
    await leave()
    await bridge.cleanup(run)
    await bridge.cleanup(run)
    for one in (bridge, await connect()):
        for call in (one.status(run), read_all(one, run), read_all(one, run, ids[2])):
            with pytest.raises(StreamNotFoundError):
                await call
        for call in LATE_CALLS.values():
            with pytest.raises(StreamTerminatedError):
                await call(one, run)


async def test_live_runs_never_leave_for_new_ones(bridge, run, eventually):
    await bridge.create("live", thread_id="t")
    async with letting_go(bridge):
        with pytest.raises(StreamCapacityExceededError):
            await bridge.create("new", thread_id="t")
        await bridge.publish(run, "note", 1)
        await bridge.publish_end(run)

        async def is_created():
            try:
                return await bridge.create("new", thread_id="t")
            except StreamCapacityExceededError:
                return None

        await eventually(is_created)
    assert run_seqs(events_of(await _read_live(bridge, "live"))) == [1]


async def _read_live(bridge, run_id):
    await bridge.publish_end(run_id)
    items = await read_all(bridge, run_id)
    assert items.pop() is END
    assert not any(isinstance(item, StreamGap) for item in items)
    return items[:-1]
