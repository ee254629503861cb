"""One chunk serves all readers that want the same of the same events, and nobody else."""

from api.live_writes import Chunks
from api.stream_modes import parse_modes
from bridge import StreamEvent
from bridge.ids import EventId


def event(number, name):
    return StreamEvent(
        thread_id="t",
        run_id="r",
        event_id=EventId(number, number),
        event=name,
        payload=b"1",
        category="stream",
        created_at="",
        total_bytes=number,
    )


def frames_in(chunk):
    """Take one HTTP chunk apart; its size is right."""
    size, _, rest = chunk.partition(b"\r\n")
    assert rest.endswith(b"\r\n")
    assert int(size, 16) == len(rest) - 2
    return rest[:-2]


def test_what_came_together_is_one_chunk_of_what_each_reader_wants():
    chunks = Chunks()
    together = [event(1, "values"), event(2, "updates"), event(3, "note")]
    wanted = {
        "": together,
        "metadata": [],
        "values": together[:1],
        "values,custom": [together[0], together[2]],
    }
    for modes, events in wanted.items():
        chunk = chunks.of(together, parse_modes([modes]))
        expected = b"".join(each.frame for each in events)
        assert (frames_in(chunk) if expected else chunk) == expected
        assert chunks.of(together, parse_modes([modes])) is chunk
    others = [event(4, "values")]
    assert frames_in(chunks.of(others, parse_modes(["values"]))) == others[0].frame
