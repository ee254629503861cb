import pytest
from reading import read_all

from bridge import StreamFencedError, new_event


async def publish_notes(bridge, run_id, count):
    return await bridge.publish_many(run_id, [new_event("note", n) for n in range(count)])


async def test_a_later_attempt_whose_beginning_was_trimmed_still_fences_the_earlier(
    bridge, run, connect
):
    successor = await connect()
    await bridge.begin_attempt(run, 2)
    await bridge.publish(run, "note", 0)
    await successor.begin_attempt(run, 3)
    await publish_notes(successor, run, 20)
    await successor.trim(run, keep=5)
    for _ in range(2):
        with pytest.raises(StreamFencedError):
            await bridge.publish(run, "note", "late")
    with pytest.raises(StreamFencedError):
        await bridge.publish_end(run)
    await successor.publish_end(run)
    assert (await bridge.status(run)).event_count == 25


async def test_an_attempt_goes_on_behind_the_trimming_of_what_it_has_seen(bridge, run, connect):
    other = await connect()
    await bridge.begin_attempt(run, 2)
    await publish_notes(bridge, run, 30)
    await other.trim(run, keep=1)
    await other.publish(run, "note", "of a service")
    await bridge.publish(run, "note", "mine")
    await bridge.publish_end(run)
    assert len(await read_all(other, run)) == 5


async def test_the_next_attempt_begins_when_the_log_shows_none_any_more(bridge, run, connect):
    """The caller's number is trusted then: run control has committed it."""
    successor = await connect()
    await bridge.begin_attempt(run, 2)
    await publish_notes(bridge, run, 30)
    await bridge.trim(run, keep=3)
    begun = await successor.begin_attempt(run, 3)
    assert (await successor.status(run)).last_id == begun
    with pytest.raises(StreamFencedError):
        await bridge.publish(run, "note", "late")
    await successor.publish_end(run)


async def test_an_attempt_that_the_log_still_shows_cannot_begin_again_elsewhere(
    bridge, run, connect
):
    other = await connect()
    await publish_notes(bridge, run, 30)
    await bridge.begin_attempt(run, 2)
    await bridge.trim(run, keep=1)
    for attempt in (1, 2):
        with pytest.raises(StreamFencedError):
            await other.begin_attempt(run, attempt)
