"""What operations of one kind can meet, for their declarations.

What every request can meet is in :mod:`api.openapi.document`.
"""

from typing import Final

from api.errors import ContradictoryOptionsError, TooManyStreamsError
from api.limits.errors import TooManyUserStreamsError
from bridge import (
    EventTooLargeError,
    InvalidIdError,
    NoAnswerError,
    StreamCapacityExceededError,
)
from runs import (
    AssistantLoadError,
    AssistantNotFoundError,
    CheckpointNotFoundError,
    GraphFailedError,
    IdempotencyKeyUsedError,
    InputTooLargeError,
    NothingToResumeError,
    NotNewestStateError,
    QueueFullError,
    ReadModelBehindError,
    ReadModelUnavailableError,
    RunConflictError,
    StateUpdateError,
    ThreadNotFoundError,
    TooManyRunsError,
    UnsupportedOptionError,
    WebhookRefusedError,
)

#: Opening a stream or a wait.
OPENING: Final = (TooManyStreamsError, TooManyUserStreamsError)

#: Searching all threads or runs.
SEARCHING: Final = (ReadModelBehindError, ReadModelUnavailableError)

#: Asking a worker about a graph.
ASKED_OF_WORKERS: Final = (
    AssistantLoadError,
    GraphFailedError,
    NoAnswerError,
    UnsupportedOptionError,
)

#: Reading the state of a thread.
READING_STATES: Final = (*ASKED_OF_WORKERS, CheckpointNotFoundError)

#: Changing the state of a thread.
CHANGING_STATES: Final = (
    *READING_STATES,
    AssistantNotFoundError,
    RunConflictError,
    StateUpdateError,
)

#: Creating a run.
CREATING: Final = (
    AssistantNotFoundError,
    CheckpointNotFoundError,
    ContradictoryOptionsError,
    EventTooLargeError,
    IdempotencyKeyUsedError,
    InputTooLargeError,
    InvalidIdError,
    NothingToResumeError,
    NotNewestStateError,
    QueueFullError,
    RunConflictError,
    StreamCapacityExceededError,
    ThreadNotFoundError,
    TooManyRunsError,
    UnsupportedOptionError,
    WebhookRefusedError,
)
