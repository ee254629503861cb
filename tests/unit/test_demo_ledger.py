import pytest

from api.client import SseMessage
from api.demo.ledger import ReceivedEvents
from api.demo.run_file import count_file, is_complete, read_lines

LINES = [
    (10, 1, "metadata", '{"attempt": 1}'),
    (12, 2, "token", '"a"'),
    (13, 3, "end", '{"status": "success"}'),
]


def message(seq, number, event, data):
    return SseMessage(f"{seq}-{number}", event, "null" if event == "end" else data)


def line(seq, number, event, data):
    return (
        f'{{"seq": {seq}, "run_seq": {number}, "event_type": "{event}", "content": {data}, '
        f'"created_at": "2026-01-01T00:00:0{number}Z"}}\n'
    )


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "run.jsonl"
    path.write_text("".join(line(*each) for each in LINES))
    return path


def received(*messages):
    events = ReceivedEvents()
    for each in messages:
        events.add(each)
    return events


def test_events_that_arrived_once_and_are_in_the_file_show_no_difference(path):
    events = received(*(message(*each) for each in LINES))

    assert events.problems == []
    assert events.has_ended
    assert events.differences_to_file(read_lines(path)) == []


@pytest.mark.parametrize("order", [(0, 2), (0, 0, 1, 2), (1, 0, 2)])
def test_a_missing_doubled_or_swapped_event_is_a_problem(order):
    assert received(*(message(*LINES[place]) for place in order)).problems


def test_a_gap_and_a_failure_are_problems():
    events = received(SseMessage("", "gap", "{}"), SseMessage("10-1", "error", "{}"))

    assert len(events.problems) == 2
    assert len(events) == 0


@pytest.mark.parametrize(
    "changed",
    [
        LINES[:2],
        [*LINES, LINES[2]],
        [LINES[0], (12, 2, "token", '"b"'), LINES[2]],
        [LINES[0], (12, 2, "other", '"a"'), LINES[2]],
        [LINES[0], (11, 2, "token", '"a"'), LINES[2]],
        [LINES[0], (12, 3, "token", '"a"'), LINES[2]],
        [*LINES[:2], (13, 3, "token", "null")],
    ],
)
def test_a_file_that_differs_from_what_arrived_is_a_problem(tmp_path, changed):
    path = tmp_path / "run.jsonl"
    path.write_text("".join(line(*each) for each in changed))

    assert received(*(message(*each) for each in LINES)).differences_to_file(read_lines(path))


def test_a_line_that_is_being_written_is_not_read_yet(path):
    path.write_bytes(path.read_bytes()[:-1])

    assert len(read_lines(path)) == 2
    assert not is_complete(read_lines(path))


def test_a_file_that_is_not_there_yet_has_no_lines(tmp_path):
    assert read_lines(tmp_path / "absent") == []
    assert not is_complete([])


def test_the_counts_come_from_the_file(path):
    counts = count_file(path, read_lines(path))

    assert counts.events == {"metadata": 1, "token": 1, "end": 1}
    assert counts.duration_s == 2
    assert counts.size_bytes == path.stat().st_size
