"""A terminal event says how the run ended, whoever wrote it."""

import pytest

from bridge import EventId, StreamEvent, Terminal, encode_json
from runs.models import Outcome, RunFault, RunStatus
from runs.outcome import outcome_of, terminal_of


def terminal(kind, data):
    return StreamEvent(
        thread_id="t",
        run_id="r",
        event_id=EventId(5, 2),
        event=str(kind),
        payload=encode_json(data),
        category="lifecycle",
        created_at="2026-01-02T03:04:05Z",
        total_bytes=0,
    )


FAULT = RunFault(error="KeyError", message="'a'")


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(RunStatus.SUCCESS, outputs="4-1"),
        Outcome(RunStatus.SUCCESS),
        Outcome(RunStatus.ERROR, error=FAULT),
        Outcome(RunStatus.TIMEOUT, error=FAULT),
        Outcome(RunStatus.INTERRUPTED),
    ],
)
def test_what_was_written_is_read(outcome):
    assert outcome_of(terminal(*terminal_of(outcome))) == outcome


@pytest.mark.parametrize(
    ("kind", "data", "status"),
    [
        (Terminal.ENDED, None, RunStatus.SUCCESS),
        (Terminal.ENDED, {"status": "error"}, RunStatus.SUCCESS),
        (Terminal.ENDED, [1], RunStatus.SUCCESS),
        (Terminal.CANCELLED, None, RunStatus.INTERRUPTED),
        (Terminal.CANCELLED, {"status": "success", "outputs": "1-1"}, RunStatus.INTERRUPTED),
        (Terminal.ERRORED, None, RunStatus.ERROR),
        (Terminal.ERRORED, {"status": "success"}, RunStatus.ERROR),
        (Terminal.ERRORED, "text", RunStatus.ERROR),
    ],
)
def test_the_terminals_name_decides_over_its_data(kind, data, status):
    outcome = outcome_of(terminal(kind, data))
    assert outcome.status is status
    assert (outcome.error is not None) == (status is RunStatus.ERROR)


def test_a_dead_letter_is_an_error_with_its_reason():
    data = {"reason": "worker_lost", "timestamp": "2026-01-02T03:04:05Z"}
    fault = RunFault(error="DeadLetter", message="worker_lost")
    assert outcome_of(terminal(Terminal.DEAD_LETTER, data)) == Outcome(RunStatus.ERROR, error=fault)


def test_the_flat_error_of_another_publisher_is_read():
    outcome = outcome_of(terminal(Terminal.ERRORED, {"error": "Boom", "message": "it broke"}))
    assert outcome.error == RunFault(error="Boom", message="it broke")
