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
    ReadModelBehindError,
    ReadModelUnavailableError,
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
    WebhookNotFoundError,
    WebhookRefusedError,
)
from runs.expiry import Expiry
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
from runs.observation import RunObservation
from runs.observers import RunObserver
from runs.outcome import outcome_of
from runs.read_model import ReadModel, RunQuery, ThreadQuery, open_read_model
from runs.search_facade import RunPage, ThreadPage
from runs.settings import (
    AssistantName,
    AssistantSettings,
    ExpirySettings,
    ReadModelSettings,
    RunSettings,
    WorkerSettings,
)
from runs.thread import ActiveRun, LastRun, OutputsRef, QueuedRun, ThreadRecord, ThreadStatus
from runs.thread_facade import ThreadsFacade, ThreadState
from runs.webhooks.delivering import WebhookDeliveries
from runs.webhooks.record import WebhookRecord, WebhookStatus
from runs.webhooks.sending import (
    DeliverySettings,
    Notice,
    WebhookPolicy,
    WebhookSender,
    WebhookSendError,
)

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
    "DeliverySettings",
    "DisconnectMode",
    "Expiry",
    "ExpirySettings",
    "HeldRuns",
    "IdempotencyKeyUsedError",
    "IllegalTransitionError",
    "LastRun",
    "MultitaskStrategy",
    "Notice",
    "Outcome",
    "OutputsNotFoundError",
    "OutputsRef",
    "QueueFullError",
    "QueuedRun",
    "ReadModel",
    "ReadModelBehindError",
    "ReadModelSettings",
    "ReadModelUnavailableError",
    "RunConflictError",
    "RunContext",
    "RunFailedError",
    "RunFault",
    "RunInterruptedError",
    "RunManager",
    "RunNotCancellableError",
    "RunNotFoundError",
    "RunNotStartableError",
    "RunObservation",
    "RunObserver",
    "RunPage",
    "RunQuery",
    "RunRecord",
    "RunSettings",
    "RunSpec",
    "RunStatus",
    "RunStoppedError",
    "RunsError",
    "RunsFacade",
    "ThreadExistsError",
    "ThreadNotFoundError",
    "ThreadPage",
    "ThreadQuery",
    "ThreadRecord",
    "ThreadState",
    "ThreadStatus",
    "ThreadsFacade",
    "UnsupportedActionError",
    "UnsupportedOptionError",
    "UnsupportedStrategyError",
    "WebhookDeliveries",
    "WebhookNotFoundError",
    "WebhookPolicy",
    "WebhookRecord",
    "WebhookRefusedError",
    "WebhookSendError",
    "WebhookSender",
    "WebhookStatus",
    "WorkerSettings",
    "open_read_model",
    "outcome_of",
]
