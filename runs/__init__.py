"""Run control: threads and runs, who may start, who executes, and how it ended."""

from runs.blocking import BlockingContext
from runs.catalog import Assistant, AssistantCatalog
from runs.context import RunContext
from runs.errors import (
    AssistantLoadError,
    AssistantNotFoundError,
    ContentionError,
    IdempotencyKeyUsedError,
    IllegalTransitionError,
    OutputsNotFoundError,
    QueueFullError,
    RunConflictError,
    RunFailedError,
    RunInterruptedError,
    RunNotCancellableError,
    RunNotFoundError,
    RunNotStartableError,
    RunsError,
    RunStoppedError,
    ThreadExistsError,
    ThreadNotFoundError,
    UnsupportedActionError,
    UnsupportedOptionError,
    UnsupportedStrategyError,
)
from runs.facade import RunsFacade
from runs.held_runs import HeldRuns
from runs.manager import RunManager
from runs.models import (
    FINAL_STATUSES,
    MAX_KEY,
    CancelAction,
    CancelOutcome,
    DisconnectMode,
    MultitaskStrategy,
    Outcome,
    RunFault,
    RunRecord,
    RunSpec,
    RunStatus,
)
from runs.outcome import outcome_of
from runs.settings import AssistantName, AssistantSettings, RunSettings, WorkerSettings
from runs.thread import ActiveRun, LastRun, OutputsRef, QueuedRun, ThreadRecord, ThreadStatus
from runs.thread_facade import ThreadsFacade, ThreadState
from runs.thread_search import ThreadQuery

__all__ = [
    "FINAL_STATUSES",
    "MAX_KEY",
    "ActiveRun",
    "Assistant",
    "AssistantCatalog",
    "AssistantLoadError",
    "AssistantName",
    "AssistantNotFoundError",
    "AssistantSettings",
    "BlockingContext",
    "CancelAction",
    "CancelOutcome",
    "ContentionError",
    "DisconnectMode",
    "HeldRuns",
    "IdempotencyKeyUsedError",
    "IllegalTransitionError",
    "LastRun",
    "MultitaskStrategy",
    "Outcome",
    "OutputsNotFoundError",
    "OutputsRef",
    "QueueFullError",
    "QueuedRun",
    "RunConflictError",
    "RunContext",
    "RunFailedError",
    "RunFault",
    "RunInterruptedError",
    "RunManager",
    "RunNotCancellableError",
    "RunNotFoundError",
    "RunNotStartableError",
    "RunRecord",
    "RunSettings",
    "RunSpec",
    "RunStatus",
    "RunStoppedError",
    "RunsError",
    "RunsFacade",
    "ThreadExistsError",
    "ThreadNotFoundError",
    "ThreadQuery",
    "ThreadRecord",
    "ThreadState",
    "ThreadStatus",
    "ThreadsFacade",
    "UnsupportedActionError",
    "UnsupportedOptionError",
    "UnsupportedStrategyError",
    "WorkerSettings",
    "outcome_of",
]
