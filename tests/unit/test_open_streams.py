import asyncio

import pytest

from api.auth.caller import EVERYBODY
from api.errors import GatewayClosingError, TooManyStreamsError
from api.open_streams import OpenStreams


async def test_closing_interrupts_all_bodies_and_waits_until_they_have_ended():
    streams = OpenStreams(10, 10)
    ended = []

    async def body(name):
        with pytest.raises(GatewayClosingError):
            async with streams.admit(EVERYBODY):
                await asyncio.Event().wait()
        ended.append(name)

    tasks = [asyncio.create_task(body(name)) for name in "abc"]
    await asyncio.sleep(0)
    assert len(streams) == 3
    await streams.close(1)
    await asyncio.gather(*tasks)
    assert sorted(ended) == ["a", "b", "c"]
    with pytest.raises(GatewayClosingError):
        async with streams.admit(EVERYBODY):
            pass


async def test_closing_gives_up_on_a_stuck_body_in_time():
    streams = OpenStreams(1, 1)
    release = asyncio.Event()

    async def stubborn():
        async with streams.admit(EVERYBODY):
            while not release.is_set():
                try:
                    await release.wait()
                except asyncio.CancelledError:
                    continue

    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    await streams.close(0.01)
    assert len(streams) == 1
    release.set()
    await asyncio.wait([task])


async def test_a_full_house_refuses_and_takes_again_when_one_has_left():
    streams = OpenStreams(1, 1)
    async with streams.admit(EVERYBODY):
        with pytest.raises(TooManyStreamsError):
            streams.check_room(EVERYBODY)
    async with streams.admit(EVERYBODY):
        assert len(streams) == 1


async def test_a_timeout_of_the_body_itself_stays_what_it_is():
    with pytest.raises(TimeoutError):
        async with OpenStreams(1, 1).admit(EVERYBODY):
            raise TimeoutError
