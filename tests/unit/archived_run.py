"""Made-up events of one run, as the log would hand them out, and the lines they become."""

from bridge import EventId, RunRef, StreamEvent, encode_json
from store import encode_line
from store.run_forms import adopt_draft, write_draft

RUN = RunRef("thread-1", "run-1")


def make_event(run_seq, *, seq=None, payload=None, run=RUN, **facts):
    """Make the event number ``run_seq``; its sequence in the log is ten times that."""
    given = {
        "event": "messages",
        "category": "message",
        "created_at": "2030-01-02T03:04:05.678901Z",
        "total_bytes": 1,
    }
    return StreamEvent(
        thread_id=run.thread_id,
        run_id=run.run_id,
        event_id=EventId(10 * run_seq if seq is None else seq, run_seq),
        payload=encode_json({"n": run_seq}) if payload is None else payload,
        **{**given, **facts},
    )


def make_events(first, last):
    """Make the events from one number to another, both included."""
    return [make_event(run_seq) for run_seq in range(first, last + 1)]


def lines_of(events):
    """Join the lines of events as a file holds them."""
    return b"".join(encode_line(event) for event in events)


def compress(layout, run=RUN):
    """Do what the sink's upkeep does with a run that has been quiet."""
    assert adopt_draft(layout, run, write_draft(layout, run, lambda: True))


def write_run(layout, content, run=RUN, *, is_compressed=False):
    """Make a run's file of bytes, in either form; returns the path of the plain one."""
    path = layout.run(run)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if is_compressed:
        compress(layout, run)
    return path
