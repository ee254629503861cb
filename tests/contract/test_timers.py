"""Timers bring a payload back at their time, whichever the bridge."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from bridge import InvalidIdError

#: The server looks at its schedules some four times a second.
LATE_S = 10.0


def after(seconds):
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.fixture
async def firings(bridge):
    """The firings of kind `test`; one that is not acknowledged comes again after a second."""
    consumer = await bridge.timers.consumer("test", lease_s=1.0)
    yield consumer
    await consumer.close()


async def fired(firings, count=1):
    found = []
    async with asyncio.timeout(LATE_S):
        while len(found) < count:
            found += await firings.fetch(10, wait_s=LATE_S)
    return found


async def test_a_timer_brings_its_payload_back_at_its_time_and_once(bridge, firings):
    at = after(0.4)
    await bridge.timers.set("test", "one", at=at, payload=b'{"n": 1}')
    assert await firings.fetch(1, wait_s=0.05) == []
    (firing,) = await fired(firings)
    assert datetime.now(UTC) >= at
    facts = (firing.kind, firing.key, firing.payload, firing.deliveries)
    assert facts == ("test", "one", b'{"n": 1}', 1)
    await firing.ack()
    assert await firings.fetch(1, wait_s=1.5) == []


async def test_a_time_that_has_passed_fires_at_once(bridge, firings):
    await bridge.timers.set("test", "late", at=after(-3600))
    (firing,) = await fired(firings)
    assert firing.key == "late"


async def test_setting_a_timer_again_replaces_it(bridge, firings):
    await bridge.timers.set("test", "one", at=after(0.2), payload=b"first")
    await bridge.timers.set("test", "one", at=after(0.6), payload=b"second")
    (firing,) = await fired(firings)
    assert firing.payload == b"second"
    await firing.ack()
    assert await firings.fetch(1, wait_s=0.5) == []


async def test_a_cancelled_timer_does_not_fire_and_others_do(bridge, firings):
    await bridge.timers.set("test", "gone", at=after(0.3))
    await bridge.timers.set("test", "kept", at=after(0.3))
    await bridge.timers.cancel("test", "gone")
    await bridge.timers.cancel("test", "never-set")
    assert [firing.key for firing in await fired(firings)] == ["kept"]
    assert await firings.fetch(1, wait_s=0.5) == []


async def test_a_firing_that_nobody_acknowledged_comes_again(bridge, firings):
    await bridge.timers.set("test", "one", at=after(0))
    await fired(firings)
    (again,) = await fired(firings)
    assert (again.key, again.deliveries) == ("one", 2)
    await again.nak()
    (at_last,) = await fired(firings)
    await at_last.ack()
    assert await firings.fetch(1, wait_s=1.3) == []


async def test_a_firing_that_is_given_back_comes_after_its_delay(bridge, firings):
    await bridge.timers.set("test", "one", at=after(0))
    (firing,) = await fired(firings)
    await firing.nak(0.3)
    assert await firings.fetch(1, wait_s=0.1) == []
    (again,) = await fired(firings)
    await again.ack()


async def test_processes_share_the_firings_of_a_kind_and_see_no_other(bridge, connect, firings):
    other = await connect()
    others = await other.timers.consumer("test", lease_s=1.0)
    for n in range(20):
        await bridge.timers.set("test", f"n{n}", at=after(0))
        await bridge.timers.set("else", f"n{n}", at=after(0))
    keys = []

    async def take(consumer):
        while len(keys) < 20:
            for firing in await consumer.fetch(3, wait_s=0.2):
                keys.append((firing.kind, firing.key))
                await firing.ack()

    async with asyncio.timeout(LATE_S):
        await asyncio.gather(take(firings), take(others))
    assert sorted(keys) == sorted(("test", f"n{n}") for n in range(20))
    await others.close()


@pytest.mark.parametrize(("kind", "key"), [("a b", "x"), ("test", "x.y"), ("test", ""), ("*", "x")])
async def test_a_name_that_is_no_token_is_refused(bridge, kind, key):
    with pytest.raises(InvalidIdError):
        await bridge.timers.set(kind, key, at=after(0))
    with pytest.raises(InvalidIdError):
        await bridge.timers.cancel(kind, key)
