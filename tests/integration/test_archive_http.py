"""Records and files over HTTP: pages that reach everything, and downloads that can be resumed."""

import asyncio

import orjson
import pytest

from bridge import RunRef, new_event
from store import ArchiveLayout, ArchiveSettings
from store.run_forms import adopt_draft, write_draft
from store.sink import Sink


@pytest.fixture
async def sink(bridge, settings):
    """A sink at work."""
    stop = asyncio.Event()
    quick = ArchiveSettings(fetch_wait_s=0.02, standby_poll_s=0.01)
    running = asyncio.create_task(Sink(bridge, settings.data, quick).run(stop))
    yield
    stop.set()
    await running


@pytest.fixture
async def published(open_run):
    """Thirty events of the run, every third one a message."""
    for n in range(30):
        category = "trace" if n % 3 else "message"
        await open_run.publish(f"kind-{n % 2}", {"n": n}, category=category)


async def read(http, path, **query):
    async with http.get(path, params=query) as answer:
        assert answer.status == 200, await answer.text()
        page = await answer.json()
    return page["data"], page["has_more"]


def ns(records):
    return [record["content"]["n"] for record in records]


@pytest.mark.usefixtures("published")
async def test_all_events_of_a_run_are_reached_page_by_page(http, open_run):
    seen, query = [], {"limit": 7}
    while True:
        page, has_more = await read(http, f"{open_run.path}/events", **query)
        seen += page
        if not has_more:
            break
        query["after_seq"] = page[-1]["seq"]
    assert [record["run_seq"] for record in seen] == list(range(1, 32))
    assert len(page) == 31 % 7
    assert seen[0].keys() == {
        "thread_id", "run_id", "seq", "run_seq", "created_at", "event_type", "category",
        "metadata", "content",
    }  # fmt: skip


@pytest.mark.usefixtures("published")
async def test_messages_come_from_the_latest_backwards(http, open_run):
    for path in (f"{open_run.path}/messages", f"/threads/{open_run.thread_id}/messages"):
        page, has_more = await read(http, path, limit=4)
        assert (ns(page), has_more) == ([18, 21, 24, 27], True)
        page, has_more = await read(http, path, limit=6, before_seq=page[0]["seq"])
        assert (ns(page), has_more) == ([0, 3, 6, 9, 12, 15], False)
        assert await read(http, path, limit=0) == ([], False)


@pytest.mark.usefixtures("published")
async def test_events_are_picked_by_their_types(http, open_run):
    path = f"{open_run.path}/events"
    page, has_more = await read(http, path, event_type="kind-1", limit=3)
    assert (ns(page), has_more) == ([1, 3, 5], True)
    page, has_more = await read(http, path, event_type="kind-1,metadata", limit=100)
    assert [record["event_type"] for record in page] == ["metadata", *["kind-1"] * 15]
    assert not has_more


@pytest.mark.usefixtures("published", "sink")
async def test_pages_are_the_same_once_the_log_was_trimmed(gateway, http, open_run, eventually):
    path = f"{open_run.path}/events"
    before = await read(http, path, limit=1000)

    async def is_archived():
        async with http.get(f"{path}.jsonl") as answer:
            return answer.status == 200 and (await answer.read()).count(b"\n") == 31

    await eventually(is_archived)
    await gateway.bridge.trim(open_run.run_id, keep=1)
    assert await read(http, path, limit=1000) == before


@pytest.mark.parametrize(
    "query", ["limit=-1", "limit=1001", "limit=x", "before_seq=9&after_seq=3", "event_type=,"]
)
async def test_a_query_that_means_nothing_is_refused(http, open_run, query):
    async with http.get(f"{open_run.path}/events?{query}") as answer:
        assert answer.status == 422
        assert (await answer.json())["code"] in {"invalid-request", "invalid-page"}


async def test_an_unknown_run_or_thread_has_no_records(http, open_run):
    nowhere = f"/threads/{open_run.thread_id}/runs/nobody"
    for path in ("events", "messages", "events.jsonl"):
        async with http.get(f"{nowhere}/{path}") as answer:
            assert (answer.status, (await answer.json())["code"]) == (404, "run-not-found")
    async with http.get("/threads/nobody/messages") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "thread-not-found")
    async with http.get(f"{open_run.path}/events.jsonl") as answer:
        assert (answer.status, (await answer.json())["code"]) == (404, "run-not-archived")


@pytest.fixture(params=["plain", "compressed"])
def run_file(settings, open_run, request):
    """The run's file, in either form, with a line that is being written at its end; its lines."""
    layout, run = ArchiveLayout(settings.data), RunRef(open_run.thread_id, open_run.run_id)
    path = layout.run(run)
    path.parent.mkdir(parents=True)
    whole = b"".join(b'{"n":%d}\n' % n for n in range(100_000))
    path.write_bytes(whole + b'{"n":')
    if request.param == "compressed":
        assert adopt_draft(layout, run, write_draft(layout, run, lambda: True))
    return whole


async def test_a_file_is_downloaded_up_to_its_last_whole_line(http, open_run, run_file):
    async with http.get(f"{open_run.path}/events.jsonl") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert await answer.read() == run_file
    async with http.head(f"{open_run.path}/events.jsonl") as answer:
        assert int(answer.headers["Content-Length"]) == len(run_file)


@pytest.mark.parametrize(
    ("wanted", "start", "stop"),
    [("0-9", 0, 10), ("500000-", 500_000, None), ("-20", -20, None), ("5-99999999", 5, None)],
)
async def test_a_range_of_a_file_is_downloaded(http, open_run, run_file, wanted, start, stop):
    headers = {"Range": f"bytes={wanted}"}
    async with http.get(f"{open_run.path}/events.jsonl", headers=headers) as answer:
        body = await answer.read()
        assert answer.status == 206
        expected = run_file[start:stop]
        assert body == expected
        first = run_file.index(expected) if len(expected) > 10 else 0
        last = first + len(expected) - 1
        assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(run_file)}"


@pytest.mark.parametrize("wanted", ["99999999-", "x-y", "9-3"])
async def test_a_range_outside_of_a_file_is_refused(http, open_run, run_file, wanted):
    headers = {"Range": f"bytes={wanted}"}
    async with http.get(f"{open_run.path}/events.jsonl", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (416, "bad-range")
        assert answer.headers["Content-Range"] == f"bytes */{len(run_file)}"


@pytest.mark.usefixtures("sink")
async def test_the_downloaded_lines_are_the_events(http, open_run, eventually):
    await open_run.publish_many([new_event("note", {"n": n}) for n in range(200)])
    await open_run.end()

    async def lines():
        async with http.get(f"{open_run.path}/events.jsonl") as answer:
            body = await answer.read()
        return [orjson.loads(line) for line in body.splitlines()] if answer.status == 200 else []

    async def is_complete():
        return len(await lines()) == 202

    await eventually(is_complete)
    page, _ = await read(http, f"{open_run.path}/events", limit=1000)
    assert page == await lines()
