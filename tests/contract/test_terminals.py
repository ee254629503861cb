import asyncio

import pytest
from reading import events_of, read_all

from bridge import (
    END,
    TERMINAL_STATES,
    StreamStatus,
    StreamTerminatedError,
    Terminal,
    new_event,
)

KINDS = [
    (Terminal.ENDED, "end", StreamStatus.ENDED),
    (Terminal.CANCELLED, "cancel", StreamStatus.CANCELLED),
    (Terminal.ERRORED, "error", StreamStatus.ERRORED),
    (Terminal.DEAD_LETTER, "dead_letter", StreamStatus.ERRORED),
]


@pytest.mark.parametrize("as_text", [False, True], ids=["enum", "text"])
@pytest.mark.parametrize(("kind", "name", "status"), KINDS, ids=[kind[1] for kind in KINDS])
async def test_a_terminal_ends_the_run_with_its_status(bridge, run, kind, name, status, as_text):
    data = {"reason": "worker_lost", "n": 2**70}
    terminal = await bridge.publish_terminal(run, name if as_text else kind, data)
    info = await bridge.status(run)
    assert (info.status, info.last_id, info.event_count) == (status, terminal, 2)
    assert info.status in TERMINAL_STATES
    assert (info.terminal.id, info.terminal.event, info.terminal.data) == (terminal, name, data)
    items = await read_all(bridge, run)
    assert items[-1] is END
    assert items[-2] == info.terminal
    assert items[-2].is_terminal


async def test_publish_end_and_cancel_are_terminals_without_data(bridge):
    for run_id, call, name in [("a", bridge.publish_end, "end"), ("b", bridge.cancel, "cancel")]:
        await bridge.create(run_id, thread_id="thread-1")
        await call(run_id)
        terminal = (await bridge.status(run_id)).terminal
        assert (terminal.event, terminal.payload) == (name, b"null")


@pytest.mark.parametrize("kind", ["", "ended", "END", "metadata", "gap", "deleted", "note", None])
async def test_what_is_no_terminal_cannot_end_a_run(bridge, run, kind):
    with pytest.raises(ValueError, match="Terminal"):
        await bridge.publish_terminal(run, kind)
    assert (await bridge.status(run)).event_count == 1


async def test_the_first_terminal_wins_and_later_ones_learn_its_id(bridge, run, connect):
    other = await connect()
    first = await bridge.publish_terminal(run, Terminal.ERRORED, {"error": "E", "message": "m"})
    later = [
        await other.publish_end(run),
        await bridge.cancel(run),
        await bridge.publish_terminal(run, "dead_letter", {"reason": "late"}),
        await (await connect()).publish_terminal(run, "error", {"error": "other"}),
    ]
    assert later == [first] * 4
    info = await other.status(run)
    assert (info.status, info.event_count) == (StreamStatus.ERRORED, 2)
    assert info.terminal.data == {"error": "E", "message": "m"}


async def test_of_terminals_that_race_one_is_stored_and_all_get_its_id(bridge, connect):
    bridges = [bridge, await connect(), await connect(), await connect()]
    for number in range(10):
        run_id = f"run-{number}"
        await bridge.create(run_id, thread_id="thread-1")
        ids = await asyncio.gather(
            *(
                b.publish_terminal(run_id, kind[0], at)
                for at, b in enumerate(bridges)
                for kind in KINDS
            )
        )
        info = await bridge.status(run_id)
        assert set(ids) == {info.last_id}
        assert info.event_count == 2


async def test_a_terminal_that_races_publishers_is_the_last_event(bridge, connect):
    other = await connect()
    for number in range(5):
        run_id = f"run-{number}"
        await bridge.create(run_id, thread_id="thread-1")
        outcomes = await asyncio.gather(
            *(bridge.publish(run_id, "note", n) for n in range(30)),
            other.cancel(run_id),
            other.publish_many(run_id, [new_event("note", n) for n in range(30)]),
            return_exceptions=True,
        )
        events = events_of(await read_all(bridge, run_id))
        assert [event.event for event in events if event.is_terminal] == ["cancel"]
        assert events[-1].id == outcomes[30]
        acknowledged = [outcome for outcome in outcomes[:30] if isinstance(outcome, str)]
        if isinstance(outcomes[31], list):
            acknowledged += outcomes[31]
        stored = {event.id for event in events[1:-1]}
        assert stored == set(acknowledged)


async def test_after_the_end_a_known_event_id_is_answered_and_a_new_one_refused(
    bridge, run, connect
):
    first = await bridge.publish(run, "note", 1, event_id="order-7")
    terminal = await bridge.publish_end(run)
    for one in (bridge, await connect()):
        assert await one.publish(run, "note", 1, event_id="order-7") == first
        with pytest.raises(StreamTerminatedError):
            await one.publish(run, "note", 2, event_id="order-8")
    assert (await bridge.status(run)).last_id == terminal
