"""Every outcome of a cursor: fresh, resumed, evicted, unknown, invalid; nothing in silence."""

import asyncio

import pytest
from reading import PATIENCE_S, events_of, read_all, run_seqs, take

from bridge import (
    END,
    GapReason,
    ResumeStatus,
    StreamEvent,
    StreamGap,
    new_event,
)

FROM_START = [None, "", "-", "-1", "0", "0-0"]
MALFORMED = [
    "abc", "1", "1-", "-5", "1-2-3", "1-0", "0-1", "01-1", "1-01", " 1-1", "1-1 ", "1-1\n",
    "+1-1", "1.0-1", "1-1e3", "\u0661-\u0661", "18446744073709551616-1", "1-99999999999999999999",
    "9" * 400, "null", "\u2028", "1-1\x00",
]  # fmt: skip


@pytest.fixture
async def pairs(bridge, run):
    """Ids of ten notes of ``run`` and of another run, which take turns; run_seq 2 to 11 each."""
    await bridge.create("other", thread_id="thread-2")
    return [
        (await bridge.publish(run, "note", n), await bridge.publish("other", "note", n))
        for n in range(10)
    ]


@pytest.fixture
def ids(pairs):
    """The ids of the notes of ``run``."""
    return [own for own, _ in pairs]


@pytest.fixture
def other_ids(pairs):
    """The ids of the notes of the other run."""
    return [other for _, other in pairs]


async def resume(bridge, run_id, cursor):
    """What a reader with ``cursor`` is told, and all that it reads."""
    await bridge.publish_end(run_id)
    async with (
        asyncio.timeout(PATIENCE_S),
        bridge.follow(run_id, last_event_id=cursor) as following,
    ):
        items = [item async for batch in following.batches() for item in batch]
    assert items.pop() is END
    return following.resume, items


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("cursor", FROM_START)
async def test_no_cursor_reads_everything_retained(bridge, run, cursor):
    outcome, items = await resume(bridge, run, cursor)
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.FRESH, 0)
    assert outcome.position.run_seq == 0
    assert run_seqs(items) == list(range(1, 13))
    assert len(events_of(items)) == len(items)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("cursor", FROM_START)
async def test_no_cursor_on_a_trimmed_run_reads_what_is_left_without_a_gap(bridge, run, cursor):
    await bridge.trim(run, keep=4)
    outcome, items = await resume(bridge, run, cursor)
    assert outcome.status is ResumeStatus.FRESH
    assert run_seqs(items) == [8, 9, 10, 11, 12]
    assert len(events_of(items)) == len(items)


@pytest.mark.parametrize("at", range(10))
async def test_a_cursor_resumes_exactly_behind_it(bridge, run, ids, at):
    outcome, items = await resume(bridge, run, ids[at])
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.RESUMED, 0)
    assert str(outcome.position) == ids[at]
    assert run_seqs(items) == list(range(at + 3, 13))
    assert len(events_of(items)) == len(items)


async def test_a_cursor_is_honoured_by_every_bridge(run, ids, connect):
    outcome, items = await resume(await connect(), run, ids[4])
    assert outcome.status is ResumeStatus.RESUMED
    assert run_seqs(items) == list(range(7, 13))


@pytest.mark.parametrize(("at", "keep", "missing"), [(0, 4, 5), (3, 4, 2), (4, 4, 1), (0, 1, 8)])
async def test_a_trimmed_cursor_is_told_how_many_events_are_missing(
    bridge, run, ids, at, keep, missing
):
    await bridge.trim(run, keep=keep)
    outcome, items = await resume(bridge, run, ids[at])
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.EVICTED, missing)
    assert str(outcome.position) == ids[at]
    first_left = 12 - keep
    gap, *rest = items
    assert gap == StreamGap(
        run_id=run,
        requested_event_id=ids[at],
        earliest_available_event_id=ids[first_left - 2],
        latest_available_event_id=(await bridge.status(run)).last_id,
        missing=missing,
        reason=GapReason.EVICTED,
    )
    assert run_seqs(rest) == list(range(first_left, 13))
    assert len(events_of(rest)) == len(rest)


async def test_a_trimmed_cursor_behind_which_nothing_is_missing_resumes(bridge, run, ids):
    await bridge.trim(run, keep=4)
    outcome, items = await resume(bridge, run, ids[5])
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.RESUMED, 0)
    assert run_seqs(items) == [8, 9, 10, 11, 12]
    assert len(events_of(items)) == len(items)


async def test_a_cursor_that_is_retained_after_trimming_resumes(bridge, run, ids):
    await bridge.trim(run, keep=4)
    outcome, items = await resume(bridge, run, ids[6])
    assert outcome.status is ResumeStatus.RESUMED
    assert run_seqs(items) == list(range(9, 13))


FORGED = {
    "another run's": ("other", 4, 0, 0),
    "another run's newest": ("other", -1, 0, 0),
    "next to an own one": ("other", 4, 0, 2),
    "run_seq too high": ("own", 8, 0, 1),
    "run_seq too low": ("own", 8, 0, -1),
    "run_seq of a trimmed one": ("own", 8, 0, -8),
    "ahead of the log": ("own", -1, 1000, 1000),
    "ahead with an old run_seq": ("own", -1, 1000, 0),
    "run_seq far too high": ("own", 1, 0, 2**60),
    "highest of all": ("own", 0, 2**63, 2**63),
}


@pytest.fixture(params=FORGED.values(), ids=FORGED)
def forged(request, ids, other_ids):
    """A cursor that looks like an event id and is none of ``run``'s."""
    whose, at, stream_shift, run_shift = request.param
    stream_seq, run_seq = map(int, (ids if whose == "own" else other_ids)[at].split("-"))
    return f"{stream_seq + stream_shift}-{run_seq + run_shift}"


@pytest.mark.parametrize("keep", [None, 4], ids=["complete", "trimmed"])
async def test_a_cursor_that_cannot_be_this_runs_is_unknown(bridge, run, forged, keep):
    if keep is not None:
        await bridge.trim(run, keep=keep)
    earliest = (await bridge.status(run)).first_id
    outcome, items = await resume(bridge, run, forged)
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.UNKNOWN, None)
    assert outcome.position.run_seq == 0
    latest = (await bridge.status(run)).last_id
    gap, *rest = items
    assert gap == StreamGap(run, forged, earliest, latest, None, GapReason.UNKNOWN)
    assert run_seqs(rest) == list(range(1 if keep is None else 12 - keep, 13))
    assert len(events_of(rest)) == len(rest)


@pytest.mark.usefixtures("pairs")
@pytest.mark.parametrize("cursor", MALFORMED)
async def test_a_malformed_cursor_is_reported_not_raised(bridge, run, cursor):
    outcome, items = await resume(bridge, run, cursor)
    assert (outcome.status, outcome.gap_count) == (ResumeStatus.INVALID, None)
    gap, *rest = items
    assert isinstance(gap, StreamGap)
    assert (gap.reason, gap.missing) == (GapReason.INVALID, None)
    assert run_seqs(rest) == list(range(1, 13))


async def test_a_gap_comes_once_and_then_the_stream_goes_on(bridge, run, ids):
    await bridge.trim(run, keep=2)
    async with bridge.subscribe(run, last_event_id=ids[0]) as stream:
        assert [type(item) for item in await take(stream, 3)] == [StreamGap, *[StreamEvent] * 2]
        await bridge.publish(run, "note", "live")
        await bridge.publish_end(run)
        live = await take(stream, 3)
    assert run_seqs(live) == [12, 13]
    assert live[-1] is END


async def test_what_is_trimmed_under_a_slow_reader_is_counted(bridge, run):
    async with bridge.subscribe(run) as stream:
        await take(stream, 1)
        for start in range(0, 6000, 500):
            await bridge.publish_many(run, [new_event("note", start + n) for n in range(500)])
        await bridge.trim(run, keep=100)
        await bridge.publish_end(run)
        seen, missing = [1], 0
        async with asyncio.timeout(PATIENCE_S):
            async for item in stream:
                if isinstance(item, StreamGap):
                    assert item.reason is GapReason.EVICTED
                    assert item.missing > 0
                    missing += item.missing
                elif isinstance(item, StreamEvent):
                    seen.append(item.run_seq)
    assert seen == sorted(set(seen))
    assert seen[-101:] == list(range(5902, 6003))
    assert len(seen) + missing == 6002


async def test_the_end_is_never_trimmed(bridge, run):
    await bridge.publish_many(run, [new_event("note", n) for n in range(20)])
    terminal = await bridge.publish_end(run)
    await bridge.trim(run, keep=1)
    items = await read_all(bridge, run)
    assert [items[0].id, items[1]] == [terminal, END]
    assert await read_all(bridge, run, terminal) == [END]
