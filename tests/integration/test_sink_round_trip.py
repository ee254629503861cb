"""Any JSON, any Unicode, any interleaving of runs: from a publisher through log and sink to files.

The bytes of the payload are those that were published, but for U+0085, U+2028 and U+2029, which
stand escaped in the files, so that no way of splitting lines splits a record.
"""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, RunRef, encode_json, new_id
from store import Analytics, ArchiveReader, ArchiveSettings
from store.sink import Sink

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.text(
    st.sampled_from('\u0085\u2028\u2029\n\r\t\x00\x7f"\\a\u00e9\U0001f600'), max_size=8
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
METADATA = st.none() | st.dictionaries(TEXT, VALUES, max_size=2)
#: Which of four runs in two threads, and what.
PUBLISHED = st.lists(st.tuples(st.integers(0, 3), VALUES, METADATA), min_size=1, max_size=12)
EXAMPLES = 40
SETTINGS = ArchiveSettings(fetch_wait_s=0.05, flush_interval_s=0.001)


@pytest.fixture
def root(tmp_path):
    return tmp_path / "data"


@pytest.fixture
async def bridge(server, root):
    """A bridge whose events a sink archives."""
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    stop = asyncio.Event()
    async with JetStreamBridge(BridgeSettings(nats=nats)) as opened:
        sink = asyncio.create_task(Sink(opened, root, SETTINGS).run(stop))
        yield opened
        stop.set()
        async with asyncio.timeout(10):
            await sink


def escaped(payload):
    text = payload.decode()
    for character in "\u0085\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


@given(published=PUBLISHED)
@hypothesis_settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_whatever_is_published_is_in_the_files_byte_for_byte(
    bridge, root, eventually, published
):
    threads = [new_id(), new_id()]
    runs = [RunRef(threads[number % 2], new_id()) for number in range(4)]
    for run in runs:
        await bridge.create(run.run_id, thread_id=run.thread_id)
    wanted = {run: [] for run in runs}
    for number, value, metadata in published:
        run = runs[number]
        event_id = await bridge.publish(run.run_id, "note", value, metadata=metadata)
        wanted[run].append((event_id, escaped(encode_json(value)), metadata))
    reader = ArchiveReader(root, on_malformed=pytest.fail)
    for run in runs:
        count = len(wanted[run]) + 1
        await eventually(lambda run=run, n=count: len(list(reader.read_run(run))) == n, within_s=20)
        found = list(reader.read_events(run, after_run_seq=1))
        assert [(event.id, event.payload, event.metadata) for event in found] == wanted[run]
    assert_that_duckdb_reads(root, threads, published)


def assert_that_duckdb_reads(root, threads, published):
    sql = "SELECT seq, content::VARCHAR FROM records WHERE event_type = 'note'"
    rows = []
    for thread_id in threads:
        with Analytics(root, thread_id=thread_id) as analytics:
            rows += list(analytics.query(sql)[1])
    contents = [None if text is None else json.loads(text) for _, text in sorted(rows)]
    assert contents == [value for _, value, _ in published]
