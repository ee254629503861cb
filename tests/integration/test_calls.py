"""Questions are asked of whoever answers to a name, and what is known of a lost answer is told."""

import asyncio

import pytest

from bridge import BridgeSettings, JetStreamBridge, NatsSettings, NoAnswerError


@pytest.fixture
async def bridges(server):
    nats = NatsSettings(url=server.url, user=server.user, password=server.password)
    settings = BridgeSettings(nats=nats)
    async with JetStreamBridge(settings) as asking, JetStreamBridge(settings) as answering:
        yield asking, answering


async def ask(bridge, question=b"q", *, within_s=10, is_repeatable=True):
    return await bridge.calls.ask("a", question, within_s=within_s, is_repeatable=is_repeatable)


@pytest.mark.parametrize("size", [0, 1, 512 << 10, (512 << 10) + 1, 20 << 20])
async def test_an_answer_of_any_size_comes_whole(bridges, size):
    asking, answering = bridges

    async def answer(question):
        return question * size

    async with answering.calls.answering("a", answer, max_at_once=2):
        assert await ask(asking, b"x") == b"x" * size


async def test_one_of_several_answers_each_question_and_many_are_asked_at_one_time(bridges):
    asked = []

    async def answer(question):
        asked.append(question)
        await asyncio.sleep(0.01)
        return question

    one, other = bridges
    async with (
        one.calls.answering("a", answer, max_at_once=2),
        other.calls.answering("a", answer, max_at_once=2),
    ):
        questions = [str(number).encode() for number in range(40)]
        assert await asyncio.gather(*(ask(one, each) for each in questions)) == questions
    assert sorted(asked) == sorted(questions)


async def test_a_question_waits_for_whoever_is_about_to_come(bridges):
    asking, answering = bridges

    async def answer(_):
        return b"late"

    waiting = asyncio.create_task(ask(asking, is_repeatable=False))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    async with answering.calls.answering("a", answer, max_at_once=1):
        assert await waiting == b"late"


async def test_what_nobody_received_was_not_done_and_what_somebody_received_may_have_been(bridges):
    asking, answering = bridges
    asked = []

    async def hang(question):
        asked.append(question)
        await asyncio.sleep(60)

    with pytest.raises(NoAnswerError, match="try again") as silence:
        await ask(asking, within_s=0.2, is_repeatable=False)
    assert silence.value.may_be_done is False
    async with answering.calls.answering("a", hang, max_at_once=1):
        with pytest.raises(NoAnswerError, match="may have been done"):
            await ask(asking, within_s=0.3, is_repeatable=False)
    assert len(asked) == 1


async def test_a_question_that_changes_nothing_is_asked_again_where_one_hangs(bridges):
    asking, answering = bridges
    asked = []

    async def hang_once(question):
        asked.append(question)
        if len(asked) == 1:
            await asyncio.sleep(60)
        return b"a"

    async with answering.calls.answering("a", hang_once, max_at_once=2):
        assert await ask(asking) == b"a"
    assert len(asked) == 2
