"""Replay of a stored run to one SSE reader, from its first event to its last.

The baseline reads the same messages from the log with nats-py alone, by batch Direct Gets of the
same size, and does nothing with them.
"""

import asyncio
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Final

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg

from bench.children import gateway, settings_of
from bench.report import Figure
from bench.rounds import TimedAction, in_turns, rate, timed
from bench.setting import DATA, EVENT, bare_client, open_bridge, running_server
from bench.sides import Readers, Side, gateway_side, running_readers
from bridge import JetStreamBridge, new_event
from bridge.subjects import RunRef, Subjects

TITLE: Final = "replay of one run to one reader, 200-byte events"
EVENTS: Final = 50_000
SMOKE_EVENTS: Final = 2000
ROUNDS: Final = 9
SMOKE_ROUNDS: Final = 2
PAGE_EVENTS: Final = 500
_PER_CALL: Final = 1000
_NAMES: Final = Subjects()


async def measure(*, smoke: bool) -> list[Figure]:
    events = SMOKE_EVENTS if smoke else EVENTS
    with tempfile.TemporaryDirectory(prefix="jetrun-bench-") as directory:
        async with (
            running_server() as server,
            open_bridge(server) as bridge,
            bare_client(server) as client,
            gateway(settings_of(server, Path(directory))) as (process, url),
            running_readers() as readers,
        ):
            side = await gateway_side(process, url, bridge)
            run = await _fill(bridge, side.run_id, events)
            actions: dict[str, TimedAction] = {
                "ours": partial(_replay_s, readers, side, events),
                "bare": timed(partial(_read_bare, client, _NAMES.event(run), events + 1)),
            }
            seconds = await in_turns(SMOKE_ROUNDS if smoke else ROUNDS, actions)
    ours, bare = (rate(events, seconds[name]) for name in ("ours", "bare"))
    baseline = f"nats-py, batch Direct Gets of {PAGE_EVENTS}"
    return [Figure(f"{events:,} events", ours, "/s", baseline, bare, ">= 25,000 /s")]


async def _fill(bridge: JetStreamBridge, run_id: str, count: int) -> RunRef:
    thread_id = await bridge.find_thread(run_id)
    assert thread_id is not None
    for _ in range(count // _PER_CALL):
        await bridge.publish_many(run_id, [new_event(EVENT, DATA)] * _PER_CALL)
    return RunRef(thread_id, run_id)


async def _replay_s(readers: Readers, side: Side, events: int) -> float:
    """Return the seconds from connecting a reader until it has all events behind the birth."""
    started = time.monotonic()
    await readers.open(side, 1)
    ended = await readers.receive(side, events)
    await readers.close(side)
    return ended - started


async def _read_bare(client: Client, subject: str, count: int) -> None:
    read, last_seq = 0, 0
    page_ended = asyncio.Event()

    async def on_message(message: Msg) -> None:
        nonlocal read, last_seq
        headers = message.headers or {}
        if "Status" in headers:
            page_ended.set()
        else:
            read += 1
            last_seq = int(headers["Nats-Sequence"])

    inbox = client.new_inbox()
    subscription = await client.subscribe(inbox, cb=on_message)
    while read < count:
        page_ended.clear()
        query = {"seq": last_seq + 1, "batch": PAGE_EVENTS, "next_by_subj": subject}
        name = f"$JS.API.DIRECT.GET.{_NAMES.events_stream}"
        await client.publish(name, orjson.dumps(query), reply=inbox)
        await page_ended.wait()
    await subscription.unsubscribe()
    assert read == count
