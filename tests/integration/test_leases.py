"""Jobs are held, and runs vouched for, by a thread that other work of its process does not stop."""

import asyncio
import threading
import time

import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings

LEASE_S = 1.0


@pytest.fixture
def settings(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    return BridgeSettings(nats=nats)


@pytest.fixture
async def bridge(settings):
    async with JetStreamBridge(settings) as opened:
        yield opened


@pytest.fixture
async def job(bridge):
    await bridge.jobs.put("e", "r")
    consumer = await bridge.jobs.consumer("e", lease_s=LEASE_S)
    (taken,) = await consumer.fetch(1, wait_s=5)
    await consumer.close()
    return taken


async def is_handed_out_again(bridge, wait_s):
    consumer = await bridge.jobs.consumer("e", lease_s=LEASE_S)
    jobs = await consumer.fetch(1, wait_s=wait_s)
    await consumer.close()
    return [each.run_id for each in jobs] == ["r"]


async def test_a_held_job_stays_while_the_event_loop_is_blocked(bridge, job):
    leases = bridge.leases(every_s=LEASE_S / 3, max_blocked_s=60)
    async with leases.kept():
        leases.hold(job)
        time.sleep(2 * LEASE_S)  # noqa: ASYNC251 - what a handler may do
        assert not await is_handed_out_again(bridge, wait_s=0.2)
        leases.release("r")
        assert await is_handed_out_again(bridge, wait_s=3 * LEASE_S)


async def test_a_loop_that_is_blocked_for_too_long_lets_its_jobs_go(bridge, job):
    leases = bridge.leases(every_s=LEASE_S / 3, max_blocked_s=0.1)
    async with leases.kept():
        leases.hold(job)
        time.sleep(2 * LEASE_S)  # noqa: ASYNC251 - what a handler should not do
        assert await is_handed_out_again(bridge, wait_s=1)


async def test_only_a_run_that_is_vouched_for_is_told_to_be_executed(bridge, job):
    assert not await bridge.holders.is_claimed("r", within_s=0.1)  # nobody listens at all
    leases = bridge.leases(every_s=LEASE_S / 3, max_blocked_s=60)
    async with leases.kept():
        leases.hold(job)
        assert not await bridge.holders.is_claimed("r", within_s=0.3)
        leases.vouch("r")
        assert await bridge.holders.is_claimed("r", within_s=5)
        assert not await bridge.holders.is_claimed("other", within_s=0.3)
        leases.release("r")
        assert not await bridge.holders.is_claimed("r", within_s=0.3)


async def test_the_question_outlasts_an_outage(bridge, job, server, eventually):
    leases = bridge.leases(every_s=LEASE_S / 3, max_blocked_s=60)
    async with leases.kept():
        leases.hold(job)
        leases.vouch("r")
        assert await bridge.holders.is_claimed("r", within_s=5)
        await server.kill()
        await eventually(lambda: not bridge.is_connected)
        asking = asyncio.create_task(bridge.holders.is_claimed("r", within_s=10))
        await asyncio.sleep(0.3)
        await server.restart()
        assert await asking


@pytest.mark.parametrize(("max_blocked_s", "expected"), [(60, {"r"}), (0.1, set())])
async def test_the_roll_call_is_answered_while_code_blocks_the_event_loop(
    bridge, settings, max_blocked_s, expected
):
    """What a sweep for silent runs asks, of a handler that computes without a pause."""
    leases, answers = bridge.leases(every_s=LEASE_S / 3, max_blocked_s=max_blocked_s), []

    async def ask():
        await asyncio.sleep(0.5)  # the loop is blocked by then, and its last beat is old enough
        async with JetStreamBridge(settings) as other:
            answers.append(await other.holders.ask(["r", "other"]))

    async with leases.kept():
        leases.vouch("r")
        assert await bridge.holders.is_claimed("r", within_s=5)
        asking = threading.Thread(target=lambda: asyncio.run(ask()))
        asking.start()
        asking.join(30)  # what blocks the loop
    assert answers == [expected]
