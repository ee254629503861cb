"""Work beside a context ends with it, and hides neither its errors nor anybody's cancellation."""

import asyncio

import pytest

from bridge.beside import beside


async def test_work_ends_with_its_context():
    ended = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with beside(work(), "work"):
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_an_error_that_ended_the_work_is_raised_at_the_end():
    async def work():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        async with beside(work(), "work"):
            await asyncio.sleep(0)


async def test_who_is_cancelled_while_the_work_ends_is_cancelled():
    ending = asyncio.Event()
    may_end = asyncio.Event()

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            ending.set()
            await may_end.wait()

    async def leave():
        async with beside(work(), "work"):
            await asyncio.sleep(0)

    leaving = asyncio.create_task(leave())
    await ending.wait()
    leaving.cancel()
    await asyncio.wait([leaving])
    assert leaving.cancelled()
    may_end.set()
