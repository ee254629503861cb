"""Streams that are resumed by a name alone: of a run, and of all runs of a thread."""

import asyncio
from functools import partial

import pytest

from bridge import (
    ConsumerDriftError,
    LogSettings,
    RunRef,
    SubscriptionTakenError,
    UnavailableError,
    new_event,
)
from bridge.subscription import SubscriptionNames
from store.sink import Sink

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def of_run(run, name="ui"):
    return f"{run.path}/stream?subscription={name}"


def of_thread(run, name="ui"):
    return f"/threads/{run.thread_id}/stream?subscription={name}"


@pytest.fixture
def names(gateway):
    """The consumers that subscriptions have made."""

    async def look():
        return [info.name for info in await gateway.bridge.list_consumers()]

    return look


@pytest.fixture
def acknowledged(gateway):
    """Wait until a stream sequence was acknowledged, and so can be resumed after."""

    async def look(event_id, times=1):
        seq = int(event_id.split("-")[0])
        infos = await gateway.bridge.list_consumers()
        return sum(info.acknowledged_seq >= seq for info in infos) == times

    return look


@pytest.fixture
def trim_behind_the_archive(gateway, bridge, settings, eventually):
    """Archive a run up to an event, then leave only the newest ones in the log."""

    async def trim(run, event_id, *, keep):
        ref = RunRef(run.thread_id, run.run_id)
        run_seq = int(event_id.split("-")[1])
        stop = asyncio.Event()
        archiving = asyncio.create_task(Sink(bridge, settings.data, settings.archive).run(stop))

        async def is_archived():
            return bool(await gateway.bridge.read_archived(ref, run_seq - 1))

        await eventually(is_archived)
        stop.set()
        await archiving
        await bridge.trim(run.run_id, keep=keep)

    return trim


@pytest.fixture
async def elsewhere(start_gateway, new_session):
    """A client session with a second gateway."""
    return await new_session((await start_gateway()).url)


async def next_ids(frames, count):
    return [(await frames.next_event())["id"] for _ in range(count)]


async def test_a_run_is_streamed_under_a_name_like_without_one(open_run, http, wire):
    for number in range(3):
        await open_run.publish("updates", {"n": number})
    await open_run.end()
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        without = await frames.rest()
        headers = frames.response.headers
    async with wire.read(http, of_run(open_run)) as frames:
        assert await frames.rest() == without
        for name in ("Content-Type", "Cache-Control", "Content-Location", "Location"):
            assert frames.response.headers[name] == headers[name]


async def test_a_client_goes_on_with_the_name_alone(open_run, http, wire, eventually, acknowledged):
    ids = [await open_run.publish("updates", n) for n in range(6)]
    async with wire.read(http, of_run(open_run)) as frames:
        assert (await next_ids(frames, 7))[1:] == ids
        await eventually(lambda: acknowledged(ids[-1]))
    ids = [await open_run.publish("updates", n) for n in range(3)]
    async with wire.read(http, of_run(open_run)) as frames:
        assert await next_ids(frames, 3) == ids
        await open_run.end()
        assert [event["event"] for event in wire.events(await frames.rest())] == ["end"]


async def test_a_name_goes_on_at_another_gateway(
    open_run, http, wire, elsewhere, eventually, acknowledged
):
    (first, second) = [await open_run.publish("updates", n) for n in range(2)]
    async with wire.read(http, of_run(open_run)) as frames:
        assert (await next_ids(frames, 3))[1:] == [first, second]
        await eventually(lambda: acknowledged(second))
    third = await open_run.publish("updates", 3)
    async with wire.read(elsewhere, of_run(open_run)) as frames:
        assert await next_ids(frames, 1) == [third]


async def test_a_name_that_has_had_the_end_gets_it_again_at_once(
    open_run, http, wire, eventually, acknowledged
):
    end = await open_run.end()
    for expected in (["metadata", "end"], ["end"], ["end"]):
        async with wire.read(http, of_run(open_run)) as frames:
            events = wire.events(await frames.rest())
        assert [event["event"] for event in events] == expected
        assert events[-1]["id"] == end
        await eventually(lambda: acknowledged(end))


async def test_the_connection_that_came_last_has_the_name_and_the_other_one_ends(
    open_run, http, wire, names
):
    async with wire.read(http, of_run(open_run)) as first:
        await first.next_event()
        async with wire.read(http, of_run(open_run)) as second:
            rest = await first.rest()
            assert wire.events(rest) == []
            assert b": subscription http_ui was taken over" in rest
            ids = [await open_run.publish("updates", n) for n in range(5)]
            taken = await next_ids(second, 5)
            # What the first one was sent and had not acknowledged may come once more.
            assert [each for each in taken if each in ids] == ids[: len(taken)]
    assert len(await names()) == 1


async def test_a_reader_that_lost_its_name_cannot_take_events_from_its_successor(gateway, open_run):
    options = {"thread_id": open_run.thread_id, "run_id": open_run.run_id}
    bridge = gateway.bridge
    async with bridge.subscription("ui", **options) as first:
        (birth,) = await first.fetch(10, wait_s=5)
        await first.ack()
        async with bridge.subscription("ui", **options) as second:
            event_id = await open_run.publish("updates", 1)
            with pytest.raises(SubscriptionTakenError):
                await first.fetch(10, wait_s=8)
            await first.ack()
            assert [event.id for event in await second.fetch(10, wait_s=5)] == [event_id]
    assert birth.run_seq == 1


async def test_a_takeover_that_dies_half_way_leaves_the_position(
    gateway, open_run, names, monkeypatch
):
    options = {"thread_id": open_run.thread_id, "run_id": open_run.run_id}
    bridge = gateway.bridge
    async with bridge.subscription("ui", **options) as first:
        await first.fetch(10, wait_s=5)
        await first.ack()

    async def die(*_):
        raise UnavailableError("the old consumer")

    with monkeypatch.context() as patched:
        patched.setattr(SubscriptionNames, "_remove", die)
        with pytest.raises(UnavailableError):
            async with bridge.subscription("ui", **options):
                pass
    assert await names() == ["ui_1", "ui_2"]
    event_id = await open_run.publish("updates", 1)
    async with bridge.subscription("ui", **options) as last:
        assert [event.id for event in await last.fetch(10, wait_s=5)] == [event_id]
        assert await names() == ["ui_3"]


async def test_many_that_open_one_name_at_once_leave_one_reader(gateway, open_run, names):
    options = {"thread_id": open_run.thread_id}
    readers = [gateway.bridge.subscription("ui", **options) for _ in range(6)]
    opened = await asyncio.gather(*(each.__aenter__() for each in readers))
    outcomes = await asyncio.gather(
        *(each.fetch(1, wait_s=10) for each in opened), return_exceptions=True
    )
    assert sum(isinstance(outcome, SubscriptionTakenError) for outcome in outcomes) == 5
    assert len(await names()) == 1
    for each in readers:
        await each.__aexit__(None, None, None)


async def test_events_come_in_order_through_kills_of_the_server(server, gateway, open_run):
    seen = []

    async def publish():
        for number in range(40):
            await open_run.publish_many([new_event("updates", number)] * 10)
            if number in (10, 25):
                await server.kill()
                await server.restart()

    publishing = asyncio.create_task(publish())
    options = {"thread_id": open_run.thread_id, "ack_wait_s": 1}
    async with asyncio.timeout(60), gateway.bridge.subscription("ui", **options) as subscription:
        while len(seen) < 401:
            events = await subscription.fetch(50, wait_s=1)
            seen += [event.run_seq for event in events]
            await subscription.ack()
    await publishing
    assert seen == list(range(1, 402))


async def test_events_that_left_the_log_while_the_client_was_away_are_counted(
    gateway, open_run, http, wire, eventually, acknowledged
):
    known = await open_run.publish("updates", 0)
    async with wire.read(http, of_run(open_run)) as frames:
        assert (await next_ids(frames, 2))[1] == known
        await eventually(lambda: acknowledged(known))
    await open_run.publish_many([new_event("updates", n) for n in range(10)])
    await gateway.bridge.trim(open_run.run_id, keep=2)
    async with wire.read(http, of_run(open_run)) as frames:
        gap = wire.fields(await frames.next())
        assert gap["event"] == "gap"
        assert "id" not in gap
        assert (gap["data"]["reason"], gap["data"]["missing"]) == ("evicted", 8)
        assert gap["data"]["requested_event_id"] == known
        assert [(await frames.next_event())["data"] for _ in range(2)] == [8, 9]


async def test_a_new_name_is_told_how_many_events_it_comes_too_late_for(
    gateway, open_run, http, wire
):
    await open_run.publish_many([new_event("updates", n) for n in range(10)])
    await gateway.bridge.trim(open_run.run_id, keep=2)
    async with wire.read(http, of_run(open_run)) as frames:
        gap = wire.fields(await frames.next())
        assert (gap["data"]["reason"], gap["data"]["missing"]) == ("evicted", 9)
        assert (await frames.next_event())["data"] == 8


async def test_events_that_left_the_log_come_from_the_archive(
    open_run, http, wire, eventually, acknowledged, trim_behind_the_archive
):
    known = await open_run.publish("updates", "first")
    paths = (of_run(open_run, "a"), of_thread(open_run, "b"))
    for path in paths:
        async with wire.read(http, path) as frames:
            assert (await next_ids(frames, 2))[1] == known
            times = paths.index(path) + 1
            await eventually(partial(acknowledged, known, times))
    ids = await open_run.publish_many([new_event("updates", n) for n in range(700)])
    await trim_behind_the_archive(open_run, ids[-1], keep=2)
    for path in (*paths, of_run(open_run, "new")):
        async with wire.read(http, path) as frames:
            seen = await next_ids(frames, 700)
            assert seen == ids if path in paths else seen[2:] == ids[:-2]


async def test_stream_modes_select_and_the_rest_counts_as_seen(
    open_run, http, wire, eventually, acknowledged
):
    await open_run.publish("updates", 1)
    values = await open_run.publish("values", 2)
    skipped = await open_run.publish("updates", 3)
    async with wire.read(http, of_run(open_run) + "&stream_mode=values") as frames:
        assert [(await frames.next_event())["event"] for _ in range(2)] == ["metadata", "values"]
        await eventually(lambda: acknowledged(skipped))
    assert values < skipped
    async with wire.read(http, of_run(open_run)) as frames:
        event_id = await open_run.publish("updates", 4)
        assert await next_ids(frames, 1) == [event_id]


async def test_a_thread_is_streamed_run_after_run_and_never_ends(
    gateway, open_run, http, wire, eventually, acknowledged
):
    async with wire.read(http, of_thread(open_run)) as frames:
        await open_run.publish("updates", 1)
        assert [(await frames.next_event())["event"] for _ in range(2)] == ["metadata", "updates"]
        outcome = {
            "status": "error",
            "outputs": None,
            "error": {"error": "KeyError", "message": "'x'"},
        }
        end = await open_run.end("error", outcome)
        done = await frames.next_event()
        assert (done["id"], done["event"]) == (end, "metadata")
        assert done["data"] == {
            "status": "run_done",
            "run_id": open_run.run_id,
            "thread_id": open_run.thread_id,
            "error": {"error": "KeyError", "message": "'x'"},
        }
        path = f"/threads/{open_run.thread_id}/runs"
        async with http.post(path, json={"assistant_id": "echo"}) as answer:
            later = wire.OpenRun(gateway, open_run.thread_id, (await answer.json())["run_id"])
        birth = await frames.next_event()
        assert birth["data"]["run_id"] == later.run_id
        await eventually(lambda: acknowledged(birth["id"]))
    event_id = await later.publish("updates", 2)
    async with wire.read(http, of_thread(open_run)) as frames:
        assert await next_ids(frames, 1) == [event_id]
        assert "Content-Location" not in frames.response.headers


async def test_a_run_of_a_thread_that_is_deleted_is_not_done_once_more(open_run, http, wire):
    async with wire.read(http, of_thread(open_run)) as frames:
        end = await open_run.end("end")
        assert [(await frames.next_event())["id"] for _ in range(2)][1] == end
        path = f"/threads/{open_run.thread_id}/runs"
        async with http.delete(f"{path}/{open_run.run_id}") as answer:
            assert answer.status == 204
        async with http.post(path, json={"assistant_id": "echo"}) as answer:
            later = (await answer.json())["run_id"]
        assert (await frames.next_event())["data"]["run_id"] == later


async def test_a_stream_under_a_name_has_heartbeats(start_gateway, open_run, wire, new_session):
    http = await new_session((await start_gateway(heartbeat_s=0.05)).url)
    async with wire.read(http, of_thread(open_run)) as frames:
        await frames.next_event()
        assert [await frames.next() for _ in range(3)] == [b": hb\n"] * 3


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/threads/{t}/stream?subscription=a.b", 422, "invalid-id"),
        ("/threads/{t}/stream?subscription=", 422, "invalid-id"),
        ("/threads/{t}/stream?subscription=" + "x" * 49, 422, "invalid-request"),
        (f"/threads/{UNKNOWN}/stream?subscription=ui", 404, "thread-not-found"),
        (f"/threads/{{t}}/runs/{UNKNOWN}/stream?subscription=ui", 404, "run-not-found"),
        (f"/runs/{UNKNOWN}/stream?subscription=ui", 404, "run-not-found"),
        ("/threads/{t}/runs/{r}/stream?subscription=a%20b", 422, "invalid-id"),
    ],
)
async def test_what_cannot_be_subscribed_is_refused_and_makes_nothing(
    open_run, http, names, path, status, code
):
    target = path.format(t=open_run.thread_id, r=open_run.run_id)
    async with http.get(target) as answer:
        problem = await answer.json(content_type="application/problem+json")
    assert (answer.status, problem["code"]) == (status, code)
    assert await names() == []


async def test_a_name_stands_for_one_run_or_thread(gateway, open_run, http, wire):
    async with wire.read(http, of_run(open_run)) as frames:
        await frames.next_event()
        for path in (of_thread(open_run), of_run(await wire.create_run(gateway, http))):
            async with http.get(path) as answer:
                problem = await answer.json(content_type="application/problem+json")
            assert (answer.status, problem["code"]) == (409, "consumer-drift")
        event_id = await open_run.publish("updates", 1)
        assert await next_ids(frames, 1) == [event_id]


async def test_names_of_http_clients_are_apart_from_those_of_services(
    gateway, open_run, http, wire
):
    async with gateway.bridge.consume("ui"), wire.read(http, of_run(open_run)) as frames:
        await frames.next_event()
        with pytest.raises(ConsumerDriftError):
            async with gateway.bridge.consume("http_ui_1"):
                pass


async def test_no_room_for_another_name_is_told_in_band(start_gateway, new_session, wire):
    gateway = await start_gateway(log=LogSettings(max_consumers=1))
    http = await new_session(gateway.url)
    run = await wire.create_run(gateway, http)
    async with gateway.bridge.consume("only"), wire.read(http, of_run(run)) as frames:
        assert b": no room for consumer http_ui_1" in await frames.rest()
    await gateway.bridge.delete_consumer("only")
    # A limit that answers with an error status kills a browser's EventSource; this one comes again.
    async with wire.read(http, of_run(run)) as frames:
        assert (await frames.next_event())["event"] == "metadata"


async def test_a_name_without_a_connection_is_removed(
    start_gateway, new_session, wire, open_run, names, eventually
):
    http = await new_session((await start_gateway(subscription_idle_s=0.3)).url)
    async with wire.read(http, of_run(open_run)) as frames:
        await frames.next_event()
        assert await names() == ["http_ui_1"]

    async def nobody():
        return await names() == []

    await eventually(nobody)
