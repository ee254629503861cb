"""Threads and runs are found in tables that always agree with the state stream."""

import asyncio
import random
import shutil
import signal
import sqlite3
import sys
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, new_id
from runs import (
    ActiveRun,
    LastRun,
    QueuedRun,
    ReadModel,
    ReadModelBehindError,
    ReadModelSettings,
    ReadModelUnavailableError,
    RunFault,
    RunQuery,
    RunRecord,
    RunStatus,
    ThreadQuery,
    ThreadRecord,
    open_read_model,
)
from runs.read_model.contents import MAX_FACTS, contains
from runs.read_model.schema import SCHEMA_VERSION

AT = datetime(2026, 1, 2, tzinfo=UTC)
USERS = [None, "her", "him"]
IDS = [f"i{number}" for number in range(6)]


def settings_of(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    return BridgeSettings(nats=nats)


@pytest.fixture
async def connect(server):
    async with AsyncExitStack() as stack:

        async def connect(to=server):
            return await stack.enter_async_context(JetStreamBridge(settings_of(to)))

        yield connect


@pytest.fixture
async def bridge(connect):
    return await connect()


@pytest.fixture
def keep(bridge, tmp_path):
    """Open the read model of this test's directory: ``async with keep() as model``."""

    def keep(at=bridge, directory=tmp_path / "read_model", **limits):
        return open_read_model(at.state_feed, directory, ReadModelSettings(**limits))

    return keep


def thread(name, age_s=0, **facts):
    at = AT - timedelta(seconds=age_s)
    return ThreadRecord(**{"thread_id": name, "created_at": at, "updated_at": at, **facts})


def run(name, thread_id="t", age_s=0, **facts):
    at = AT - timedelta(seconds=age_s)
    known = {"run_id": name, "thread_id": thread_id, "created_at": at, "updated_at": at}
    return RunRecord(**{**known, "assistant_id": "a-1", "executor": "echo", **facts})


def ended(name, thread_id="t", age_s=0, **facts):
    return run(name, thread_id, age_s, **{"status": RunStatus.SUCCESS, **facts})


async def store(bridge, *records):
    """Write records over whatever is there."""
    for record in records:
        kind = "thread" if isinstance(record, ThreadRecord) else "run"
        key = record.thread_id if kind == "thread" else record.run_id
        found = await bridge.states.find(kind, key)
        if found is None:
            await bridge.states.create(kind, key, record.encode())
        else:
            await bridge.states.update(kind, key, record.encode(), revision=found.revision)


async def remove(bridge, kind, key):
    found = await bridge.states.find(kind, key)
    if found is not None:
        await bridge.states.delete(kind, key, revision=found.revision)


def ids(found):
    return [row.id for row in found.rows]


async def run_ids(model, limit=1000, **query):
    return ids(await model.find_runs(RunQuery(**query), limit=limit))


async def thread_ids(model, limit=1000, **query):
    return ids(await model.find_threads(ThreadQuery(**query), limit=limit))


# What a search is compared with: the same conditions over all records, one by one.


def fits(record, query):
    key = record.thread_id if isinstance(record, ThreadRecord) else record.run_id
    return (
        (query.ids is None or key in query.ids)
        and query.user_id in (None, record.user_id)
        and (query.created_after is None or record.created_at >= query.created_after)
        and (query.created_before is None or record.created_at < query.created_before)
        and (query.updated_after is None or record.updated_at >= query.updated_after)
        and (query.updated_before is None or record.updated_at < query.updated_before)
        and contains(record.metadata, query.metadata)
    )


def fits_thread(record, query):
    return (
        fits(record, query)
        and not (record.temporary or record.deleting)
        and query.status in (None, record.status)
    )


def fits_run(record, query, threads):
    owner = threads.get(record.thread_id)
    is_admitted = owner is not None and record.run_id in owner.inflight_ids
    text = f"{record.run_id} {record.thread_id} {record.executor} {record.error}".lower()
    return (
        fits(record, query)
        and not (owner is not None and owner.deleting)
        and (record.status is not RunStatus.PENDING or is_admitted)
        and query.thread_id in (None, record.thread_id)
        and (query.statuses is None or record.status in query.statuses)
        and query.assistant in (None, record.executor, record.assistant_id)
        and (query.text is None or query.text.lower() in text)
    )


def in_order(records, query, second):
    def place(record):
        first = getattr(record, query.sort_by)
        tie = (getattr(record, second),) if query.sort_by == "status" else ()
        key = record.thread_id if isinstance(record, ThreadRecord) else record.run_id
        return (first, *tie, key)

    return sorted(records, key=place, reverse=query.is_descending)


METADATA = st.dictionaries(
    st.sampled_from("pq"),
    st.sampled_from([1, True, None, "x", [1], [1, 2], {"r": 1}, {"r": 2, "s": []}, {}, []]),
    max_size=2,
)
MAYBE_WIDE = METADATA | METADATA.map(
    lambda some: {**{f"m{number}": number for number in range(MAX_FACTS)}, **some}
)
AGES = st.integers(0, 4)
TIMES = st.none() | AGES.map(lambda age: AT - timedelta(seconds=age))


@st.composite
def threads_strategy(draw):
    runs_of = draw(st.lists(st.sampled_from(IDS), max_size=2, unique=True))
    at, later = (AT - timedelta(seconds=draw(AGES)) for _ in range(2))
    active = ActiveRun(run_id=runs_of[0], executor="echo", since=AT) if runs_of else None
    last = draw(st.sampled_from([None, *RunStatus]))
    return ThreadRecord(
        thread_id=draw(st.sampled_from(IDS)),
        user_id=draw(st.sampled_from(USERS)),
        metadata=draw(MAYBE_WIDE),
        temporary=draw(st.integers(0, 5)) == 0,
        deleting=draw(st.integers(0, 5)) == 0,
        created_at=at,
        updated_at=later,
        active=active,
        queue=tuple(QueuedRun(run_id=name, executor="echo") for name in runs_of[1:]),
        last=None if last is None else LastRun(run_id="r", status=last),
    )


RUNS = st.builds(
    run,
    st.sampled_from(IDS),
    st.sampled_from(IDS),
    AGES,
    user_id=st.sampled_from(USERS),
    status=st.sampled_from(list(RunStatus)),
    metadata=MAYBE_WIDE,
    executor=st.sampled_from(["echo", "other"]),
    error=st.sampled_from([None, RunFault(error="ValueError", message="so bad")]),
    updated_at=AGES.map(lambda age: AT - timedelta(seconds=age)),
)
REMOVALS = st.tuples(st.sampled_from(["thread", "run"]), st.sampled_from(IDS))
COMMON = {
    "metadata": st.just({}) | METADATA,
    "ids": st.none() | st.lists(st.sampled_from([*IDS, "z"]), max_size=3).map(tuple),
    "user_id": st.sampled_from(USERS),
    "created_after": TIMES,
    "created_before": TIMES,
    "updated_after": TIMES,
    "updated_before": TIMES,
    "is_descending": st.booleans(),
}


def seldom(**options):
    """Most conditions are absent, so that most queries find something."""
    absent = {"metadata": {}, "is_descending": True, "sort_by": "created_at"}
    return {
        name: st.sampled_from([0, 0, 1]).flatmap(
            lambda use, name=name, option=option: option if use else st.just(absent.get(name))
        )
        for name, option in options.items()
    }


SORTS = ["status", "created_at", "updated_at"]
THREAD_QUERIES = st.builds(
    ThreadQuery,
    **seldom(
        **COMMON,
        status=st.sampled_from(["idle", "busy", "interrupted", "error"]),
        sort_by=st.sampled_from(["thread_id", *SORTS]),
    ),
)
RUN_QUERIES = st.builds(
    RunQuery,
    **seldom(
        **COMMON,
        thread_id=st.sampled_from(IDS),
        statuses=st.lists(st.sampled_from(list(RunStatus)), max_size=3).map(tuple),
        assistant=st.sampled_from(["echo", "a-1", "none"]),
        text=st.sampled_from(["I1", "so BAD", "nothing"]),
        sort_by=st.sampled_from(["run_id", *SORTS]),
    ),
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(threads_strategy() | RUNS | REMOVALS, max_size=12),
    thread_queries=st.lists(THREAD_QUERIES, min_size=3, max_size=3),
    run_queries=st.lists(RUN_QUERIES, min_size=3, max_size=3),
    # Pages, and from how many on metadata counts as common.
    page=st.tuples(st.integers(0, 4), st.integers(0, 3), st.sampled_from([0, 2, 2000])),
)
async def test_a_search_finds_what_a_look_at_every_record_finds(
    bridge, monkeypatch, steps, thread_queries, run_queries, page
):
    limit, offset, few = page
    # One that has seen every step, and one that reads what is left of them.
    patient = ReadModelSettings(wait_s=60)
    model, late = (ReadModel(bridge.state_feed, settings=patient) for _ in range(2))
    try:
        monkeypatch.setattr("runs.read_model.selection._FEW", few)
        # Deleted ids never come back; each example has its own.
        suffix = new_id()[:8]
        known = {"thread": {}, "run": {}}
        for step in steps:
            await take(bridge, known, step, suffix)
            await model.find_runs(RunQuery(), limit=0)
        threads, runs = known["thread"], known["run"]
        for query in thread_queries:
            asked = of_example(query, suffix)
            fitting = [each for each in threads.values() if fits_thread(each, asked)]
            expected = [each.thread_id for each in in_order(fitting, asked, "updated_at")]
            for each in (model, late):
                found = await each.find_threads(asked, limit=limit, offset=offset)
                assert (ids(found), found.total) == (expected[offset:][:limit], len(expected))
        for query in run_queries:
            asked = of_example(query, suffix)
            fitting = [each for each in runs.values() if fits_run(each, asked, threads)]
            expected = [each.run_id for each in in_order(fitting, asked, "created_at")]
            for each in (model, late):
                found = await each.find_runs(asked, limit=limit, offset=offset)
                assert (ids(found), found.total) == (expected[offset:][:limit], len(expected))
    finally:
        await model.close()
        await late.close()


def of_example(query, suffix):
    """Ask for records of one example only: others wrote to the same stream before."""
    wanted = query.ids if query.ids is not None else IDS
    changes = {"ids": tuple(f"{each}{suffix}" for each in wanted)}
    if getattr(query, "thread_id", None) is not None:
        changes["thread_id"] = f"{query.thread_id}{suffix}"
    return query.model_copy(update=changes)


async def take(bridge, known, step, suffix):
    if isinstance(step, tuple):
        kind, key = step[0], f"{step[1]}{suffix}"
        await remove(bridge, kind, key)
        known[kind].pop(key, None)
        return
    is_thread = isinstance(step, ThreadRecord)
    kind, key = ("thread", step.thread_id) if is_thread else ("run", step.run_id)
    key = f"{key}{suffix}"
    if await bridge.states.is_deleted(kind, key):
        return
    changes = {"thread_id": f"{step.thread_id}{suffix}"}
    if is_thread:
        changes["active"] = step.active and step.active.model_copy(
            update={"run_id": f"{step.active.run_id}{suffix}"}
        )
        changes["queue"] = tuple(
            each.model_copy(update={"run_id": f"{each.run_id}{suffix}"}) for each in step.queue
        )
    else:
        changes["run_id"] = key
    record = step.model_copy(update=changes)
    await store(bridge, record)
    known[kind][key] = record


async def test_a_stream_without_records_is_searched_at_once(connect, keep):
    async with keep(await connect(), wait_s=5) as model:
        assert await run_ids(model) == await thread_ids(model) == []
    async with keep(await connect(), wait_s=5) as model:
        assert await run_ids(model) == []


async def test_a_restarted_process_reads_only_what_changed_since(bridge, keep, monkeypatch):
    await store(bridge, *(ended(f"r{number}") for number in range(20)))
    async with keep() as model:
        assert len(await run_ids(model)) == 20
    reads = []
    read = bridge.state_feed.read

    async def noted(after):
        reads.append(after)
        return await read(after)

    monkeypatch.setattr(bridge.state_feed, "read", noted)
    await store(bridge, ended("late"))
    async with keep() as model:
        assert len(await run_ids(model)) == 21
    assert min(reads) >= 20


async def test_a_search_sees_every_write_of_every_process_that_returned_before(connect, keep):
    here, there = await connect(), await connect()
    async with keep(here, poll_s=60) as model:
        for number in range(50):
            await store(there, ended(f"r{number}"))
            assert await run_ids(model, ids=[f"r{number}"]) == [f"r{number}"]


async def test_searches_agree_while_other_processes_write_at_the_same_time(connect, keep):
    here, *others = [await connect() for _ in range(4)]
    written = set()

    async def write(bridge, name):
        for number in range(60):
            await store(bridge, ended(f"{name}{number}", user_id=name))
            written.add(f"{name}{number}")

    async with keep(here) as model:
        writing = asyncio.gather(
            *(write(each, name) for each, name in zip(others, "abc", strict=True))
        )
        while not writing.done():
            before = set(written)
            found = await model.find_runs(RunQuery(), limit=1000)
            assert before <= set(ids(found))
            assert found.total == len(found.rows) == len(set(ids(found)))
        await writing
        assert len(await run_ids(model, user_id="b")) == 60


async def test_two_processes_of_one_directory_have_a_file_each(keep, bridge, tmp_path):
    await store(bridge, ended("r"))
    async with keep() as one, keep() as other:
        assert await run_ids(one) == await run_ids(other) == ["r"]
        names = sorted(path.name for path in (tmp_path / "read_model").glob("*.sqlite3"))
        assert names == ["0.sqlite3", "1.sqlite3"]


def truncate(path):
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def scribble(path):
    with path.open("r+b") as file:
        for offset in range(4096, path.stat().st_size, 4096):
            file.seek(offset)
            file.write(bytes(random.choices(range(256), k=2048)))


def other_version(path):
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        connection.execute("DROP TABLE runs")
    connection.close()


def no_database(path):
    path.write_bytes(b"this is no database" * 1000)


def other_stream(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE feed SET stream = 'another'")
        connection.execute("DELETE FROM runs WHERE run_id = 'r3'")
    connection.close()


def ahead(path):
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE feed SET applied = applied + 1000")
        connection.execute("INSERT INTO run_facts VALUES ('x', 'y', 1)")
    connection.close()


@pytest.mark.parametrize(
    "spoil", [truncate, scribble, other_version, no_database, other_stream, ahead]
)
async def test_a_file_that_cannot_be_used_starts_over(bridge, keep, tmp_path, spoil):
    names = [f"r{number}" for number in range(200)]
    await store(bridge, *(ended(name, metadata={"n": name}) for name in names))
    async with keep() as model:
        assert len(await run_ids(model)) == 200
    spoil(tmp_path / "read_model" / "0.sqlite3")
    async with keep() as model:
        assert sorted(await run_ids(model)) == sorted(names)
        assert await run_ids(model, metadata={"n": "r3"}) == ["r3"]


async def test_damage_that_is_found_later_is_mended_by_the_next_search(
    bridge, keep, tmp_path, eventually
):
    await store(bridge, *(ended(f"r{number}", metadata={"n": "x" * 200}) for number in range(300)))
    async with keep(poll_s=60) as model:
        assert len(await run_ids(model)) == 300
        path = tmp_path / "read_model" / "0.sqlite3"
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        scribble(path)
        refused = []

        async def is_mended():
            try:
                return len(await run_ids(model, text="xxx")) == 300
            except ReadModelUnavailableError as error:
                refused.append(error)

        await eventually(is_mended, within_s=20)
        assert refused


async def test_a_search_in_a_wiped_stream_finds_nothing_of_the_old_one(
    server, connect, keep, tmp_path
):
    first = await connect()
    await store(first, *(ended(f"old{number}") for number in range(30)))
    async with keep(first) as model:
        assert len(await run_ids(model)) == 30
        await server.kill()
        shutil.rmtree(tmp_path / "nats" / "jetstream")
        await server.restart()
        second = await connect()  # makes the streams anew
        await store(second, *(ended(f"new{number}") for number in range(40)))
        assert sorted(await run_ids(model)) == sorted(f"new{number}" for number in range(40))
    async with keep(second) as model:
        assert len(await run_ids(model)) == 40


async def test_a_stream_that_was_set_back_is_read_anew(bridge, keep, tmp_path, server, eventually):
    await store(bridge, ended("kept"))
    await server.stop()
    shutil.copytree(tmp_path / "nats", tmp_path / "backup")
    await server.restart()
    async with keep(poll_s=0.05) as model:
        await store(bridge, *(ended(f"lost{number}") for number in range(10)))
        assert len(await run_ids(model)) == 11
        await server.kill()
        shutil.rmtree(tmp_path / "nats" / "jetstream")
        shutil.copytree(tmp_path / "backup" / "jetstream", tmp_path / "nats" / "jetstream")
        await server.restart()

        async def is_set_back():
            return await run_ids(model) == ["kept"]

        await eventually(is_set_back, within_s=20)


async def test_a_search_waits_no_longer_than_it_may(bridge, keep, monkeypatch):
    async with keep(wait_s=2, poll_s=60) as model:
        assert await run_ids(model) == []
        never = asyncio.Event()

        read = bridge.state_feed.read

        async def hang(after):
            await never.wait()
            return await read(after)

        monkeypatch.setattr(bridge.state_feed, "read", hang)
        await store(bridge, ended("r"))
        with pytest.raises(ReadModelBehindError):
            await run_ids(model)
        never.set()
        assert await run_ids(model) == ["r"]


async def test_a_record_that_nobody_can_read_hides_no_other(bridge, keep, caplog):
    await store(bridge, ended("a"), ended("z"))
    await bridge.states.create("run", "garbage", b"{]")
    found = await bridge.states.find("run", "z")
    await bridge.states.update("run", "z", b'{"of": "a later version"}', revision=found.revision)
    async with keep() as model:
        assert await run_ids(model) == ["a"]
    assert "read_model.record.malformed" in caplog.messages


async def test_pages_are_counted_and_follow_each_other(bridge, keep):
    await store(bridge, *(ended(f"r{number:02}", age_s=number % 3) for number in range(30)))
    async with keep() as model:
        whole = await run_ids(model)
        pages = [
            await model.find_runs(RunQuery(), limit=7, offset=offset) for offset in range(0, 35, 7)
        ]
        assert [each for page in pages for each in ids(page)] == whole
        assert {page.total for page in pages} == {30}


@pytest.mark.parametrize("few", [0, 3, 1000])
async def test_common_and_rare_metadata_are_found_alike(bridge, keep, monkeypatch, few):
    monkeypatch.setattr("runs.read_model.selection._FEW", few)
    metadata = [{"kind": "x", "n": number} for number in range(10)]
    much = {f"m{number}": number for number in range(MAX_FACTS)}
    await store(
        bridge,
        *(ended(f"r{each['n']}", metadata=each, user_id="her") for each in metadata),
        ended("wide", metadata={**much, "kind": "x"}),
        ended("wide-other", metadata={**much, "kind": "y"}),
        run("refused", metadata={"kind": "x", "n": 4}),
        ended("of-deleted", "gone", metadata={"kind": "x"}),
        thread("gone", deleting=True),
    )
    async with keep() as model:
        found = await model.find_runs(RunQuery(metadata={"kind": "x"}), limit=100)
        assert set(ids(found)) == {"wide", *(f"r{number}" for number in range(10))}
        assert found.total == 11
        hers = await model.find_runs(RunQuery(metadata={"kind": "x"}, user_id="her"), limit=3)
        assert (len(hers.rows), hers.total) == (3, 10)
        assert await run_ids(model, metadata={"kind": "x", "n": 4}) == ["r4"]
        assert await run_ids(model, metadata={**much, "kind": "y"}) == ["wide-other"]
        assert await run_ids(model, metadata={"kind": "z"}) == []


@asynccontextmanager
async def follower(server, directory):
    password = server.password.get_secret_value()
    script = Path(__file__).with_name("read_model_process.py")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, script, server.url, server.user, password, directory),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            await process.stdout.readline()
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def follow_and_die(server, directory):
    async with follower(server, directory) as process:
        for _ in range(random.randrange(1, 60)):
            async with asyncio.timeout(30):
                await process.stdout.readline()
        process.send_signal(signal.SIGKILL)


@pytest.mark.chaos
async def test_a_process_killed_while_it_applies_leaves_whole_steps(
    server, bridge, keep, tmp_path, chaos_factor
):
    written = {}

    async def write():
        number = 0
        while True:
            name = f"r{number % 150}"
            record = ended(name, metadata={"n": number, "half": number // 2})
            await store(bridge, record)
            written[name] = record
            number += 1

    writing = asyncio.create_task(write())
    try:
        for _ in range(2 * chaos_factor):
            await follow_and_die(server, tmp_path / "read_model")
    finally:
        writing.cancel()
        await asyncio.wait([writing])
    async with keep() as model:
        for name, record in written.items():
            # The last write may have got through although its writer was cancelled.
            found = await bridge.states.find("run", name)
            stored = RunRecord.decode(found.value)
            assert name in await run_ids(model, metadata={"n": stored.metadata["n"]}), record
        total = (await model.find_runs(RunQuery(), limit=0)).total
        assert total == len(await bridge.states.keys("run"))
