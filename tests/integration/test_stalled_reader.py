"""A client that holds its connection open and reads nothing costs nobody anything but itself.

The gateway is a process of its own, whose memory is measured.
"""

import asyncio
import re
from contextlib import suppress
from types import SimpleNamespace

from bridge import new_event

HEALTHY = 100
#: Read by everybody.
FIRST_EVENTS = 300
#: Read by nobody but the one that stalls, when it reads again: far more than any buffer holds.
LATER_EVENTS, LATER_BYTES = 5000, 16 << 10
#: Sockets, one page of history and one reader's buffer; the later events are 80 MiB.
MAX_GROWTH_BYTES = 40 << 20


async def create_run(gateway, bridge, new_session, wire):
    """A run that no worker takes; the test publishes its events."""
    http = await new_session(gateway.url)
    return await wire.create_run(SimpleNamespace(bridge=bridge), http)


async def publish(run, count, size_bytes):
    for _ in range(0, count, 100):
        await run.publish_many([new_event("updates", "x" * size_bytes) for _ in range(100)])


def run_seqs(received):
    """The run's own numbers of the whole events that a client got, the end left out."""
    frames = re.findall(rb"id: \d+-(\d+)\nevent: (\w+)\ndata: [^\n]*\n\n", received)
    return [int(number) for number, _ in frames]


def last_id(received):
    """The id of the last whole event that a client got."""
    return re.findall(rb"id: (\d+-\d+)\nevent: \w+\ndata: [^\n]*\n\n", received)[-1].decode()


async def read_until(reader, mark, received=b""):
    """Read until ``mark`` comes, or the connection is cut; return all bytes."""
    chunks, tail = [received], received[-64:]
    with suppress(ConnectionError):
        while mark not in tail and (chunk := await reader.read(1 << 20)):
            chunks.append(chunk)
            tail = tail[-64:] + chunk
    return b"".join(chunks)


async def test_a_stalled_reader_disturbs_nobody_and_gets_everything_when_it_reads_again(
    start_gateway_process, bridge, new_session, wire
):
    gateway = await start_gateway_process(heartbeat_s=0.2)
    run = await create_run(gateway, bridge, new_session, wire)
    path = f"{run.path}/stream"
    stalled, _ = await gateway.open(path, receive_buffer=8 << 10)
    healthy = [await gateway.open(path) for _ in range(HEALTHY)]
    async with asyncio.timeout(60):
        await publish(run, FIRST_EVENTS, 1000)
        last = b"-%d\nevent" % (FIRST_EVENTS + 1)
        first_parts = await asyncio.gather(*(read_until(reader, last) for reader, _ in healthy))
        for _, writer in healthy[1:]:
            writer.transport.abort()
        before = gateway.resident_bytes
        publishing = asyncio.create_task(publish(run, LATER_EVENTS, LATER_BYTES))
        last = b"-%d\nevent" % (FIRST_EVENTS + LATER_EVENTS + 1)
        later_part = await read_until(healthy[0][0], last)
        await publishing
        growth = gateway.resident_bytes - before
        await run.end()
        late = await read_until(stalled, b"event: end")
    everything = list(range(1, FIRST_EVENTS + LATER_EVENTS + 2))
    for part in first_parts:
        assert run_seqs(part)[:FIRST_EVENTS] == everything[:FIRST_EVENTS]
    assert len(later_part) > LATER_EVENTS * LATER_BYTES
    assert growth < MAX_GROWTH_BYTES
    assert run_seqs(late) == everything


async def test_a_reader_that_is_cut_for_stalling_resumes_with_everything(
    start_gateway_process, bridge, new_session, wire, eventually
):
    gateway = await start_gateway_process(heartbeat_s=0.05, stall_s=0.3)
    run = await create_run(gateway, bridge, new_session, wire)
    path = f"{run.path}/stream"
    seen, cursor, joins = [], "", 0
    async with asyncio.timeout(60):
        await publish(run, 1000, LATER_BYTES)
        await run.end()
        while True:
            reader, writer = await gateway.open(path, last_event_id=cursor, receive_buffer=8 << 10)
            joins += 1
            if joins == 1:
                assert gateway.holds(writer)
                await eventually(lambda writer=writer: not gateway.holds(writer), within_s=10)
            received = await read_until(reader, b"event: end")
            writer.transport.abort()
            seen += run_seqs(received)
            if b"event: end" in received:
                break
            cursor = last_id(received)
    assert joins == 2
    assert seen == list(range(1, 1002))
