"""Every answer is waited for, and no wait is endless."""

import asyncio

import pytest

from bridge.replies import Replies, SilenceError

TIMEOUT_S = 0.05


async def test_answers_that_do_not_come_fail_in_time_and_no_earlier():
    replies = Replies(TIMEOUT_S)
    loop = asyncio.get_running_loop()
    ended = {}

    async def ask(token, after_s):
        await asyncio.sleep(after_s)
        started = loop.time()
        with pytest.raises(SilenceError) as caught:
            await replies.expect(token, "asked")
        replies.forget(token)
        assert caught.value.sent
        ended[token] = loop.time() - started

    await asyncio.gather(*(ask(str(n), n * TIMEOUT_S / 4) for n in range(8)))
    # uvloop's clock has a resolution of one millisecond.
    assert all(waited_s >= TIMEOUT_S - 0.002 for waited_s in ended.values()), ended


async def test_a_broken_connection_fails_all_waits_at_once():
    replies = Replies(3600)
    single, many = replies.expect("1", "asked"), replies.expect_many("2", "asked")
    replies.fail_all()
    with pytest.raises(SilenceError):
        await single
    with pytest.raises(SilenceError):
        await many.take(3600)
