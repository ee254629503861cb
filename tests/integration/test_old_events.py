"""Old events over HTTP: from the files that a sink wrote, through the log, to the live feed."""

import asyncio

import pytest
from archiving import KEPT

from bridge import RunRef, new_event
from store import ArchiveLayout
from store.run_forms import adopt_draft, keep_last_line, write_draft

EVENTS = 100_000


def numbers(raw, wire):
    """The run_seqs of all events of a stream, and the names of those that have no id."""
    events = wire.events(raw)
    ids = [event["id"] for event in events if "id" in event]
    return [int(one.split("-")[1]) for one in ids], [e["event"] for e in events if "id" not in e]


@pytest.mark.timeout(300)
async def test_a_long_run_is_resumed_from_its_first_event_in_one_request(
    gateway, http, open_run, wire, archive
):
    first = (await gateway.bridge.status(open_run.run_id)).first_id
    for start in range(0, EVENTS, 1000):
        await open_run.publish_many([new_event("note", {"n": start + n}) for n in range(1000)])
    await open_run.end()
    await archive(open_run)
    kept = await gateway.bridge.read_after(RunRef(open_run.thread_id, open_run.run_id), 0)
    assert KEPT <= len(kept) <= KEPT * 1.1 + 1
    async with wire.read(http, f"{open_run.path}/stream", headers={"Last-Event-ID": first}) as read:
        raw = await asyncio.wait_for(read.response.content.read(), 300)
    seen, others = numbers(raw, wire)
    assert others == []
    assert seen == list(range(2, EVENTS + 3))


@pytest.mark.parametrize("form", ["plain", "compressed"])
async def test_a_run_that_left_the_log_entirely_is_read_from_its_file(  # noqa: PLR0913, PLR0917 - both tiers meet here
    gateway, http, open_run, wire, settings, archive, form
):
    ids = [await open_run.publish("note", n) for n in range(5)]
    await open_run.end(data={"status": "success", "outputs": None, "error": None})
    await gateway.facade.settle(open_run.thread_id, open_run.run_id)
    await archive(open_run)
    if form == "compressed":
        layout, run = ArchiveLayout(settings.data), RunRef(open_run.thread_id, open_run.run_id)
        assert adopt_draft(layout, run, write_draft(layout, run, lambda: True))
    await gateway.bridge._connection.api("$JS.API.STREAM.PURGE.JETRUN_EVENTS", {})
    for cursor, expected in ((None, range(1, 8)), (ids[1], range(4, 8)), (ids[4], [7])):
        headers = {"Last-Event-ID": cursor} if cursor else {}
        async with wire.read(http, f"{open_run.path}/stream", headers=headers) as stream:
            seen, others = numbers(await stream.rest(), wire)
        assert others == []
        assert seen == list(expected)


async def test_a_run_that_left_the_archive_is_a_gap_that_is_counted_and_then_its_end(
    gateway, http, open_run, wire, settings, archive
):
    cursor = [await open_run.publish("note", n) for n in range(40)][9]
    await open_run.end(data={"status": "success", "outputs": None, "error": None})
    await gateway.facade.settle(open_run.thread_id, open_run.run_id)
    await archive(open_run)
    run = RunRef(open_run.thread_id, open_run.run_id)
    await gateway.bridge.trim(run.run_id, keep=1)
    assert keep_last_line(ArchiveLayout(settings.data), run)
    headers = {"Last-Event-ID": cursor}
    async with wire.read(http, f"{open_run.path}/stream", headers=headers) as stream:
        gap, end = wire.events(await stream.rest())
    assert (gap["event"], gap["data"]["reason"], gap["data"]["missing"]) == ("gap", "evicted", 30)
    assert (end["event"], end["id"].split("-")[1]) == ("end", "42")
    async with http.get(f"{open_run.path}/events") as answer:
        page = await answer.json()
    assert [record["run_seq"] for record in page["data"]] == [42]


async def test_final_values_are_read_from_the_archive_once_they_left_the_log(
    gateway, http, open_run, archive
):
    outputs = await open_run.publish("values", {"answer": 42}, category="outputs")
    await open_run.end(data={"status": "success", "outputs": outputs, "error": None})
    await gateway.facade.settle(open_run.thread_id, open_run.run_id)
    await archive(open_run)
    await gateway.bridge.trim(open_run.run_id, keep=1)
    async with http.get(f"{open_run.path}/join") as answer:
        assert await answer.json() == {"answer": 42}
    async with http.get(f"/threads/{open_run.thread_id}/state") as answer:
        assert (await answer.json())["values"] == {"answer": 42}


async def test_a_stream_ends_cleanly_while_the_archive_cannot_be_read(
    gateway, http, open_run, wire, archive
):
    cursor = await open_run.publish("note", 1)
    await open_run.publish("note", 2)
    await open_run.end()
    path = await archive(open_run)
    await gateway.bridge.trim(open_run.run_id, keep=1)
    hidden = path.rename(path.with_suffix(".hidden"))
    path.mkdir()
    url, headers = f"{open_run.path}/stream", {"Last-Event-ID": cursor}
    async with wire.read(http, url, headers=headers) as stream:
        raw = await stream.rest()
    assert wire.events(raw) == []
    assert b"cannot be read" in raw
    path.rmdir()
    hidden.rename(path)
    async with wire.read(http, url, headers=headers) as stream:
        assert numbers(await stream.rest(), wire) == ([3, 4], [])
