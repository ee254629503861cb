"""A client that drops its connection over and over sees every event once, in order."""

import asyncio

from bridge import new_event

EVENTS = 2000
DROP_EVERY = 50
ROUNDS = 20
FLIGHT = 100


async def publish_all(open_run):
    for start in range(0, EVENTS, FLIGHT):
        batch = [new_event("updates", {"n": n}) for n in range(start, start + FLIGHT)]
        await open_run.publish_many(batch)
    await open_run.end()


async def read_with_drops(http, wire, path):
    """Read the whole run, dropping the connection after every 50 events."""
    seen, last_id = [], None
    while True:
        headers = {} if last_id is None else {"Last-Event-ID": last_id}
        async with wire.read(http, path, headers=headers) as frames:
            for _ in range(DROP_EVERY):
                event = await frames.next_event()
                last_id = event["id"]
                seen.append(event)
                if event["event"] == "end":
                    return seen
            frames.response.close()


async def test_dropping_every_50_of_2000_events_loses_and_doubles_none_20_times_in_a_row(
    gateway, http, wire, chaos_factor
):
    for _ in range(ROUNDS * chaos_factor):
        open_run = await wire.create_run(gateway, http)
        publishing = asyncio.create_task(publish_all(open_run))
        async with asyncio.timeout(60):
            seen = await read_with_drops(http, wire, f"{open_run.path}/stream")
            await publishing
        assert [event["event"] for event in seen] == ["metadata", *["updates"] * EVENTS, "end"]
        assert [event["data"]["n"] for event in seen[1:-1]] == list(range(EVENTS))
        assert len({event["id"] for event in seen}) == EVENTS + 2
