"""The terminal event's data: how it is written, and how any terminal is read.

The log decides a run's outcome; this is the one place that interprets it.
"""

from typing import Any, Final

from pydantic import ValidationError

from bridge import StreamEvent, Terminal
from runs.models import Outcome, RunFault, RunStatus, TokenUsage

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
    data: dict[str, Any] = {
        "status": outcome.status.value,
        "outputs": outcome.outputs,
        "error": error,
    }
    if outcome.is_interrupted:
        data["interrupted"] = True
    if outcome.model_name is not None:
        data["model_name"] = outcome.model_name
    if outcome.usage is not None:
        data["usage"] = outcome.usage.model_dump()
    return _KIND_OF_STATUS[outcome.status], data


def outcome_of(terminal: StreamEvent) -> Outcome:
    """Read how a run ended; a terminal that other publishers wrote without our data counts too."""
    data = terminal.data if isinstance(terminal.data, dict) else {}
    if terminal.event == Terminal.DEAD_LETTER:
        reason = str(data.get("reason", "unknown"))
        return Outcome(RunStatus.ERROR, error=RunFault(error="DeadLetter", message=reason))
    return _outcome_of_name(terminal.event, data)._replace(
        model_name=_text_of(data, "model_name"), usage=_usage_of(data)
    )


def _outcome_of_name(name: str, data: dict[str, Any]) -> Outcome:
    status = _STATUS_OF_NAME.get(name, RunStatus.ERROR)
    if status is RunStatus.SUCCESS:
        is_interrupted = data.get("interrupted") is True
        return Outcome(status, _text_of(data, "outputs"), is_interrupted=is_interrupted)
    if status is RunStatus.INTERRUPTED:
        return INTERRUPTED
    if data.get("status") == RunStatus.TIMEOUT:
        status = RunStatus.TIMEOUT
    return Outcome(status, error=_fault(data))


def _text_of(data: dict[str, Any], name: str) -> str | None:
    found = data.get(name)
    return found if isinstance(found, str) else None


def _usage_of(data: dict[str, Any]) -> TokenUsage | None:
    try:
        return TokenUsage.model_validate(data["usage"])
    except (KeyError, ValidationError):
        return None


def _fault(data: dict[str, Any]) -> RunFault:
    said = data.get("error")
    facts = said if isinstance(said, dict) else data
    return RunFault(error=str(facts.get("error", "Error")), message=str(facts.get("message", "")))
