"""The terminal event's data: how it is written, and how any terminal is read.

The log decides a run's outcome; this is the one place that interprets it.
"""

from typing import Any, Final

from bridge import StreamEvent, Terminal
from runs.models import Outcome, RunFault, RunStatus

INTERRUPTED: Final = Outcome(RunStatus.INTERRUPTED)

_KIND_OF_STATUS: Final = {
    RunStatus.SUCCESS: Terminal.ENDED,
    RunStatus.INTERRUPTED: Terminal.CANCELLED,
    RunStatus.ERROR: Terminal.ERRORED,
    RunStatus.TIMEOUT: Terminal.ERRORED,
}
_STATUS_OF_NAME: Final = {
    Terminal.ENDED.value: RunStatus.SUCCESS,
    Terminal.CANCELLED.value: RunStatus.INTERRUPTED,
}


def terminal_of(outcome: Outcome) -> tuple[Terminal, dict[str, Any]]:
    """Return the kind and the data of the terminal event that says ``outcome``."""
    error = None if outcome.error is None else outcome.error.model_dump()
    data = {"status": outcome.status.value, "outputs": outcome.outputs, "error": error}
    return _KIND_OF_STATUS[outcome.status], data


def outcome_of(terminal: StreamEvent) -> Outcome:
    """Read how a run ended; a terminal that other publishers wrote without our data counts too."""
    data = terminal.data if isinstance(terminal.data, dict) else {}
    if terminal.event == Terminal.DEAD_LETTER:
        reason = str(data.get("reason", "unknown"))
        return Outcome(RunStatus.ERROR, error=RunFault(error="DeadLetter", message=reason))
    status = _STATUS_OF_NAME.get(terminal.event, RunStatus.ERROR)
    if status is RunStatus.SUCCESS:
        outputs = data.get("outputs")
        return Outcome(status, outputs=outputs if isinstance(outputs, str) else None)
    if status is RunStatus.INTERRUPTED:
        return INTERRUPTED
    if data.get("status") == RunStatus.TIMEOUT:
        status = RunStatus.TIMEOUT
    return Outcome(status, error=_fault(data))


def _fault(data: dict[str, Any]) -> RunFault:
    said = data.get("error")
    facts = said if isinstance(said, dict) else data
    return RunFault(error=str(facts.get("error", "Error")), message=str(facts.get("message", "")))
