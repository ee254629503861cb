"""One suite, three event stores: memory, files written directly, and log with archive.

The third one is read with no sink at all, with one that has archived everything, and with one that
is half-way and behind which the log was trimmed.
"""

import asyncio
from contextlib import asynccontextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import (
    BatchTooLargeError,
    BridgeSettings,
    ConflictError,
    EmbeddedServer,
    InvalidContentError,
    InvalidEventError,
    InvalidIdError,
    JetStreamBridge,
    NatsSettings,
    RunRef,
    StreamNotFoundError,
    StreamTerminatedError,
)
from store import (
    ArchiveLayout,
    ArchiveLockedError,
    ArchiveSettings,
    InvalidPageError,
    JetStreamRunEventStore,
    JsonlRunEventStore,
    MemoryRunEventStore,
    encode_line,
    file_records,
)
from store.run_forms import adopt_draft, is_compressed, thaw, write_draft
from store.sink import Sink

T, R = "thread-1", "run-1"


class MemorySetting:
    """A store that nobody else can reach."""

    @asynccontextmanager
    async def store(self):
        yield MemoryRunEventStore()

    async def settle(self, store, run):
        pass


class JsonlSetting:
    def __init__(self, root):
        self._root = root

    def store(self):
        return JsonlRunEventStore(self._root)

    async def settle(self, store, run):
        pass


class LogSetting:
    """Log and archive.

    Args:
        server: The log's.
        root: The archive's directory.
        archived: The part of a run that a sink has brought into files.
        is_compressed: Whether the files are compressed since.
    """

    def __init__(self, server, root, archived, *, is_compressed):
        self._is_compressed = is_compressed
        self._nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        self._root = root
        self._archived = archived

    @asynccontextmanager
    async def store(self):
        async with JetStreamBridge(BridgeSettings(nats=self._nats)) as bridge:
            yield JetStreamRunEventStore(bridge, self._root)

    async def settle(self, store, run):
        """Do what a sink and trimming behind it would do meanwhile."""
        last = await store._files.find_last(run)
        events = await store._bridge.read_after(run, 0 if last is None else last.run_seq, limit=500)
        events = events[: int(len(events) * self._archived)]
        layout = ArchiveLayout(self._root)
        path = layout.run(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        if is_compressed(layout, run):
            thaw(layout, run)
        with path.open("ab") as file:
            file.write(b"".join(map(encode_line, events)))
        if self._is_compressed:
            assert adopt_draft(layout, run, write_draft(layout, run, lambda: True))
        if events:
            count = (await store._bridge.status(run.run_id)).event_count
            await store._bridge.trim(run.run_id, keep=max(1, count - events[-1].run_seq))


ARCHIVED = {"log": 0, "half archived": 0.5, "archived": 1, "compressed": 1}
#: Whose files may be torn in their making.
PLAIN = [name for name in ARCHIVED if name != "compressed"]


@pytest.fixture(params=["memory", "jsonl", *ARCHIVED])
async def setting(request, tmp_path):
    if request.param == "memory":
        yield MemorySetting()
    elif request.param == "jsonl":
        yield JsonlSetting(tmp_path / "data")
    else:
        async with EmbeddedServer(tmp_path / "nats") as server:
            yield LogSetting(
                server,
                tmp_path / "data",
                ARCHIVED[request.param],
                is_compressed=request.param == "compressed",
            )


def on(*settings):
    """Run a test on these implementations only, because it is about what they have."""
    return pytest.mark.parametrize("setting", settings, indirect=True)


@pytest.fixture
async def store(setting):
    async with setting.store() as opened:
        yield opened


@pytest.fixture
def settle(setting, store):
    """Let what goes on behind the store's back go on: ``await settle("run-1")``."""

    async def settle(*run_ids, thread_id=T):
        for run_id in run_ids:
            await setting.settle(store, RunRef(thread_id, run_id))

    return settle


async def put(store, n, *, run_id=R, thread_id=T, event_type="text", category="message", **facts):
    return await store.put(
        thread_id=thread_id,
        run_id=run_id,
        event_type=event_type,
        category=category,
        **{"content": {"n": n}, **facts},
    )


def new(n, run_id=R, thread_id=T):
    return {
        "thread_id": thread_id,
        "run_id": run_id,
        "event_type": "text",
        "category": "message",
        "content": {"n": n},
    }


def ns(records):
    return [record.content["n"] for record in records]


def seqs(records):
    return [record.seq for record in records]


async def test_a_record_comes_back_as_it_was_put(store, settle):
    stored = await put(
        store, 1, metadata={"k": [1]}, created_at="2030-01-02T03:04:05.678901Z", category="trace"
    )
    await settle(R)
    birth, found = await store.list_events(T, R)
    assert found == stored
    assert found.model_dump() == {
        "thread_id": T,
        "run_id": R,
        "seq": stored.seq,
        "run_seq": 2,
        "event_type": "text",
        "category": "trace",
        "content": {"n": 1},
        "metadata": {"k": [1]},
        "created_at": "2030-01-02T03:04:05.678901Z",
    }
    assert (birth.event_type, birth.run_seq, birth.category) == ("metadata", 1, "lifecycle")


async def test_a_caller_reads_its_own_write_at_once(store, settle):
    for n in range(20):
        stored = await put(store, n)
        assert (await store.list_messages(T, limit=1))[0] == stored
        assert (await store.list_messages_by_run(T, R, limit=1))[0] == stored
        assert (await store.list_events(T, R, after_seq=stored.seq - 1)) == [stored]
        if n == 10:
            await settle(R)


async def test_seq_grows_over_all_runs_of_a_thread(store, settle):
    stored = [await put(store, n, run_id=f"run-{n % 3}") for n in range(12)]
    assert seqs(stored) == sorted(set(seqs(stored)))
    await settle("run-0", "run-1", "run-2")
    assert ns(await store.list_messages(T)) == list(range(12))


@on("jsonl", *ARCHIVED)  # the memory of a process ends with it
async def test_seq_is_not_used_again_after_a_restart(setting):
    stored = []
    for n in range(3):
        async with setting.store() as store:
            stored.append(await put(store, n))
    assert seqs(stored) == sorted(set(seqs(stored)))
    async with setting.store() as store:
        assert ns(await store.list_messages(T)) == [0, 1, 2]


async def test_concurrent_puts_get_a_seq_each(store):
    stored = await asyncio.gather(*(put(store, n, run_id=f"run-{n % 4}") for n in range(40)))
    assert len(set(seqs(stored))) == 40
    listed = await store.list_messages(T, limit=100)
    assert seqs(listed) == sorted(seqs(stored))


@on("jsonl", *ARCHIVED)  # the memory of a process is its own
async def test_two_processes_never_give_the_same_seq(setting):
    async with setting.store() as first:
        if isinstance(setting, JsonlSetting):
            with pytest.raises(ArchiveLockedError):
                await setting.store().__aenter__()
            return
        async with setting.store() as second:
            stored = [await put(store, n) for n in range(5) for store in (first, second)]
            assert seqs(stored) == sorted(set(seqs(stored)))
            assert seqs(await first.list_messages(T)) == seqs(stored)


async def test_a_batch_goes_to_the_run_of_each_record_and_keeps_its_order(store, settle):
    given = [new(0, "run-a"), new(1, "run-b"), new(2, "run-a"), new(3, "run-b")]
    stored = await store.put_batch(given)
    assert ns(stored) == [0, 1, 2, 3]
    assert [record.run_id for record in stored] == ["run-a", "run-b"] * 2
    await settle("run-a", "run-b")
    assert ns(await store.list_messages_by_run(T, "run-a")) == [0, 2]
    assert ns(await store.list_messages_by_run(T, "run-b")) == [1, 3]
    assert await store.put_batch([]) == []


async def test_a_batch_is_of_one_thread(store):
    with pytest.raises(ValueError, match="one thread"):
        await store.put_batch([new(0), new(1, "run-2", "thread-2")])
    assert await store.list_messages(T) == []


async def test_a_batch_is_stored_as_a_whole_or_not_at_all(store):
    with pytest.raises(BatchTooLargeError):
        await store.put_batch([new(n) for n in range(1001)])
    with pytest.raises(InvalidContentError):
        await store.put_batch([new(0), {**new(1), "content": float("nan")}])
    assert await store.list_events(T, R) == []


async def test_put_if_absent_stores_one_of_a_type_in_a_run(store, settle):
    facts = {"thread_id": T, "run_id": R, "event_type": "title", "category": "trace"}
    first, created = await store.put_if_absent(**facts, content="a")
    assert (created, first.content) == (True, "a")
    assert await store.put_if_absent(**facts, content="b") == (first, False)
    await settle(R)
    assert await store.put_if_absent(**facts, content="c") == (first, False)
    other = {**facts, "event_type": "error"}
    second, created = await store.put_if_absent(**other, content="d")
    assert (created, second.event_type) == (True, "error")
    assert await store.put_if_absent(**other, content="e") == (second, False)


async def test_put_if_absent_has_one_winner_whoever_races(setting, store):
    facts = {"thread_id": T, "run_id": R, "event_type": "metadata", "category": "trace"}
    results = await asyncio.gather(*(store.put_if_absent(**facts, content=n) for n in range(8)))
    assert len({record.seq for record, _ in results}) == 1
    winner = results[0][0]
    assert (winner.event_type, winner.category) == ("metadata", "trace")
    assert sum(created for _, created in results) == 1
    if isinstance(setting, LogSetting):
        async with setting.store() as other:
            assert await other.put_if_absent(**facts, content=9) == (winner, False)


@pytest.mark.parametrize("name", ["end", "cancel", "error", "dead_letter", "deleted", "record:end"])
async def test_a_record_named_like_a_control_event_controls_nothing(store, settle, name):
    first = await put(store, 1, event_type=name)
    second = await put(store, 2)
    assert first.event_type == name
    await settle(R)
    assert await store.list_messages(T) == [first, second]
    assert await store.list_events(T, R, event_types={name}) == [first]


async def test_nothing_is_put_after_the_end(store, settle):
    await put(store, 1)
    ended = await store.end_run(thread_id=T, run_id=R)
    assert ended.event_type == "end"
    with pytest.raises(StreamTerminatedError):
        await put(store, 2)
    await settle(R)
    with pytest.raises(StreamTerminatedError):
        await store.put_batch([new(3)])
    assert await store.end_run(thread_id=T, run_id=R) == ended
    assert (await store.list_events(T, R))[-1] == ended
    with pytest.raises(StreamNotFoundError):
        await store.end_run(thread_id=T, run_id="nobody")


@pytest.mark.parametrize(
    ("facts", "error"),
    [
        ({"thread_id": "../../etc"}, InvalidIdError),
        ({"run_id": "../x"}, InvalidIdError),
        ({"run_id": "a/b"}, InvalidIdError),
        ({"run_id": "run\n"}, InvalidIdError),
        ({"event_type": ""}, InvalidEventError),
        ({"event_type": "a\nb"}, InvalidEventError),
        ({"content": {1, 2}}, InvalidContentError),
        ({"metadata": {"x": float("inf")}}, InvalidContentError),
        ({"created_at": "yesterday"}, ValueError),
        ({"created_at": "2030-01-02T03:04:05"}, ValueError),
    ],
)
async def test_what_cannot_be_stored_is_refused_before_anything_is(store, facts, error):
    with pytest.raises(error):
        await put(store, 1, **facts)
    assert await store.list_messages(T) == []


async def test_no_read_leads_out_of_the_archive(store):
    for read in (
        lambda: store.list_messages("../.."),
        lambda: store.list_events("..", R),
        lambda: store.list_messages_by_run(T, "../../x"),
        lambda: store.count_messages("a/b"),
    ):
        with pytest.raises(InvalidIdError):
            await read()


@pytest.fixture
async def thread(store, settle):
    """Twelve messages and some traces in three runs that overlap."""
    stored = []
    for n in range(12):
        run_id = f"run-{(n * 7) % 12 // 5}"
        stored.append(await put(store, n, run_id=run_id))
        await put(store, n, run_id=run_id, category="trace", event_type="step")
    await settle("run-0", "run-1", "run-2")
    return stored


async def test_the_latest_messages_come_when_no_side_is_named(store, thread):
    assert await store.list_messages(T, limit=5) == thread[-5:]
    assert await store.list_messages(T, limit=500) == thread


async def test_a_limit_of_zero_gives_nothing_and_a_negative_one_is_an_error(store, thread):
    assert await store.list_messages(T, limit=0) == []
    assert await store.list_events(T, thread[0].run_id, limit=0) == []
    with pytest.raises(InvalidPageError):
        await store.list_messages(T, limit=-1)


async def test_both_sides_at_once_are_an_error(store, thread):
    with pytest.raises(InvalidPageError):
        await store.list_messages(T, before_seq=thread[5].seq, after_seq=thread[2].seq)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12])
async def test_paging_either_way_reaches_every_message_once(store, thread, limit):
    forward, after = [], 0
    while page := await store.list_messages(T, limit=limit, after_seq=after):
        forward += page
        after = page[-1].seq
    assert forward == thread
    backward, before = [], thread[-1].seq + 1
    while page := await store.list_messages(T, limit=limit, before_seq=before):
        backward = page + backward
        before = page[0].seq
    assert backward == thread


@pytest.mark.usefixtures("thread")
@pytest.mark.parametrize("limit", [1, 4, 500])
async def test_paging_either_way_reaches_every_event_of_a_run_once(store, limit):
    everything = await store.list_events(T, "run-1")
    assert [record.run_seq for record in everything] == list(range(1, len(everything) + 1))
    forward, after = [], 0
    while page := await store.list_events(T, "run-1", limit=limit, after_seq=after):
        forward += page
        after = page[-1].seq
    assert forward == everything
    backward, before = [], everything[-1].seq + 1
    while page := await store.list_events(T, "run-1", limit=limit, before_seq=before):
        backward = page + backward
        before = page[0].seq
    assert backward == everything


async def test_a_page_is_filled_with_what_it_asks_for(store, thread):
    messages = [record for record in thread if record.run_id == "run-1"]
    assert await store.list_messages_by_run(T, "run-1", limit=2) == messages[-2:]
    assert await store.list_messages_by_run(T, "run-1", limit=2, after_seq=0) == messages[:2]
    steps = await store.list_events(T, "run-1", event_types={"step"}, limit=3)
    assert [(record.event_type, record.category) for record in steps] == [("step", "trace")] * 3
    assert await store.list_events(T, "run-1", event_types=()) == []


async def test_messages_are_counted(store, thread):
    assert await store.count_messages(T) == len(thread)
    assert await store.count_messages("nobody") == 0
    assert await store.list_messages("nobody") == []
    assert await store.list_events("nobody", "nothing") == []


async def test_a_caller_that_gives_up_harms_no_other(store):
    given_up = [asyncio.create_task(put(store, n)) for n in range(10)]
    staying = [asyncio.create_task(put(store, n)) for n in range(10, 20)]
    await asyncio.sleep(0)
    for task in given_up:
        task.cancel()
    stored = await asyncio.gather(*staying)
    await asyncio.gather(*given_up, return_exceptions=True)
    listed = await store.list_messages(T, limit=100)
    assert seqs(listed) == sorted(set(seqs(listed)))
    assert set(seqs(stored)) <= set(seqs(listed))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from("\u0085\u2028\u2029\n"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)  # fmt: skip


@given(contents=st.lists(st.tuples(st.integers(0, 2), JSON), max_size=8))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_value_in_any_interleaving_of_runs_comes_back(store, settle, contents):
    known = {record.seq for record in await store.list_messages(T, limit=10_000)}
    stored = [await put(store, 0, run_id=f"run-{run}", content=value) for run, value in contents]
    await settle(*{record.run_id for record in stored})
    listed = await store.list_messages(T, limit=10_000)
    assert [record for record in listed if record.seq not in known] == stored


@on(*ARCHIVED)  # elsewhere a run id is a thread's own
async def test_a_run_belongs_to_one_thread(store):
    await put(store, 1)
    with pytest.raises(ConflictError):
        await put(store, 2, thread_id="thread-2")


@pytest.fixture
async def erasing(setting, store, thread):  # noqa: ARG001 - two must not write the files at once
    """Let a sink erase the files of deleted runs, where there is one."""
    if not isinstance(setting, LogSetting):
        yield
        return
    stop = asyncio.Event()
    quick = ArchiveSettings(fetch_wait_s=0.02, standby_poll_s=0.01)
    sink = asyncio.create_task(Sink(store._bridge, setting._root, quick).run(stop))
    yield
    stop.set()
    await sink


@pytest.mark.usefixtures("erasing")
async def test_a_deleted_run_is_gone_from_every_list_and_from_every_file(store, thread):
    others = [record for record in thread if record.run_id != "run-1"]
    everything = await store.list_events(T, "run-1")
    assert await store.delete_by_run(T, "run-1") == len(everything)
    assert await store.list_events(T, "run-1") == []
    assert await store.list_messages(T) == others
    assert await store.count_messages(T) == len(others)
    assert await store.delete_by_run(T, "run-1") == 0
    assert await store.delete_by_run(T, "nobody") == 0


@pytest.mark.usefixtures("erasing")
async def test_no_seq_is_used_again_after_a_deletion(setting, store, thread):
    last_run = thread[-1].run_id
    await store.delete_by_run(T, last_run)
    with pytest.raises(StreamTerminatedError):
        await put(store, 99, run_id=last_run)
    assert (await put(store, 100, run_id="run-9")).seq > thread[-1].seq
    if isinstance(setting, LogSetting):
        async with setting.store() as other:
            assert (await put(other, 101, run_id="run-9")).seq > thread[-1].seq + 1


@pytest.mark.usefixtures("erasing")
async def test_a_deleted_thread_does_not_come_back_through_a_late_write(store, thread):
    await put(store, 0, run_id="elsewhere", thread_id="thread-2")
    assert await store.delete_by_thread(T) >= len(thread)
    assert await store.list_messages(T) == []
    for run_id in ("run-1", "run-new"):
        with pytest.raises(StreamTerminatedError):
            await put(store, 99, run_id=run_id)
    assert await store.list_messages(T) == []
    assert len(await store.list_messages("thread-2")) == 1
    assert await store.delete_by_thread(T) == 0


async def test_a_deletion_leads_nowhere_out_of_the_archive(store, tmp_path):
    kept = tmp_path / "data" / "kept.jsonl"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("mine\n")
    for thread_id, run_id in (("..", "kept"), (T, "../../../kept"), ("../..", "x")):
        with pytest.raises(InvalidIdError):
            await store.delete_by_run(thread_id, run_id)
        if thread_id != T:
            with pytest.raises(InvalidIdError):
                await store.delete_by_thread(thread_id)
    assert kept.read_text() == "mine\n"


@pytest.fixture
def run_file(tmp_path):
    """The file of the run, where there is one."""
    return ArchiveLayout(tmp_path / "data").run(RunRef(T, R))


@on("jsonl", *PLAIN)
async def test_a_line_that_is_no_object_stops_neither_reads_nor_writes(
    setting, store, settle, run_file
):
    stored = [await put(store, n) for n in range(3)]
    await settle(R)
    run_file.parent.mkdir(parents=True, exist_ok=True)
    with run_file.open("ab") as file:
        file.write(b"[1, 2]\n\x00\xff\n")
    if isinstance(setting, JsonlSetting):
        stored.append(await put(store, 3))
    assert await store.list_messages(T) == stored
    assert ns(await store.list_messages(T, after_seq=stored[0].seq)) == ns(stored[1:])


@on("jsonl", *PLAIN)
async def test_a_torn_last_line_takes_no_other_record_with_it(setting, run_file):
    async with setting.store() as store:
        stored = [await put(store, n) for n in range(3)]
        await setting.settle(store, RunRef(T, R))
    run_file.parent.mkdir(parents=True, exist_ok=True)
    with run_file.open("ab") as file:
        file.write(b'{"thread_id":"thread-1","run_id":"run-1","seq":9')
    async with setting.store() as store:
        assert await store.list_messages(T) == stored
        if isinstance(setting, JsonlSetting):
            stored.append(await put(store, 3))
            assert await store.list_messages(T) == stored


@on("jsonl", "archived", "compressed")
async def test_a_page_reads_a_page_and_not_the_thread(store, settle):
    for start in range(0, 3000, 1000):
        await store.put_batch([new(n) for n in range(start, start + 1000)])
        for _ in range(3):
            await settle(R)
    reads = []
    parse = file_records.parse_line
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(file_records, "parse_line", lambda line: reads.append(1) or parse(line))
        assert ns(await store.list_messages(T, limit=10)) == list(range(2990, 3000))
        middle = await store.list_messages(T, limit=10, after_seq=1500)
    assert len(middle) == 10
    assert len(reads) < 150
