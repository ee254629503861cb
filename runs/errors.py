"""Every error that run control raises, and what state each one leaves behind.

``code`` is stable and safe to match on. ``retryable`` says whether the same call can succeed
later without a change by the caller.
"""

from typing import ClassVar


class RunsError(Exception):
    """Base of all errors of this package."""

    code: ClassVar[str] = "runs"
    retryable: ClassVar[bool] = False


class UnreadableRecordError(RunsError):
    """A stored record does not have the form that this version reads; it was left as it is."""

    code = "unreadable-record"

    def __init__(self, kind: str, problem: str) -> None:
        super().__init__(
            f"a stored {kind} cannot be read ({problem}); upgrade this process if others are "
            "newer, else restore the record from a backup"
        )
        self.kind = kind


class ThreadNotFoundError(RunsError):
    """Nobody created this thread, or it belongs to someone else; nothing was created."""

    code = "thread-not-found"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"thread {thread_id} does not exist; create it first")
        self.thread_id = thread_id


class ThreadExistsError(RunsError):
    """The thread id is taken, perhaps by a thread that was deleted; nothing was changed."""

    code = "thread-exists"

    def __init__(self, thread_id: str) -> None:
        super().__init__(f"thread {thread_id} exists already")
        self.thread_id = thread_id


class RunNotFoundError(RunsError):
    """There is no such run in this thread; asking created nothing."""

    code = "run-not-found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} does not exist in this thread")
        self.run_id = run_id


class RunConflictError(RunsError):
    """The thread has an active run and the strategy is ``reject``; nothing was stored."""

    code = "run-conflict"
    retryable = True

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__(
            f"thread {thread_id} is busy with run {run_id}; wait for its end, cancel it, or use "
            "multitask_strategy 'enqueue'"
        )
        self.thread_id = thread_id
        self.run_id = run_id


class QueueFullError(RunsError):
    """Too many runs wait on the thread; nothing was stored."""

    code = "queue-full"
    retryable = True

    def __init__(self, thread_id: str, limit: int) -> None:
        super().__init__(f"{limit} runs wait on thread {thread_id}, the limit; try again later")
        self.thread_id = thread_id
        self.limit = limit


class TooManyRunsError(RunsError):
    """As many runs are under way as their user or their assistant may have; nothing was stored."""

    code = "too-many-runs"
    retryable = True

    def __init__(self, holder: str, limit: int) -> None:
        super().__init__(f"{limit} runs of this {holder} are under way, the limit; try again later")
        self.limit = limit


class IdempotencyKeyUsedError(RunsError):
    """The idempotency key cannot stand for this request; nothing was stored."""

    code = "idempotency-key-used"

    def __init__(self, key: str, purpose: str) -> None:
        super().__init__(f"idempotency key {key!r} was used {purpose}; take another key")
        self.key = key


class ContentionError(RunsError):
    """Others changed the state each time this call was about to; nothing was stored."""

    code = "contention"
    retryable = True

    def __init__(self, what: str, attempts: int) -> None:
        super().__init__(f"{what} changed {attempts} times during the call; try again")
        self.what = what
        self.attempts = attempts


class UnsupportedStrategyError(RunsError, ValueError):
    """There is no such multitask strategy; nothing was stored."""

    code = "unsupported-strategy"

    def __init__(self, strategy: str) -> None:
        super().__init__(
            f"multitask_strategy {strategy!r} is unknown; use reject, enqueue, interrupt or "
            "rollback"
        )
        self.strategy = strategy


class UnsupportedActionError(RunsError, ValueError):
    """There is no such cancel action; nothing was changed."""

    code = "unsupported-action"

    def __init__(self, action: str) -> None:
        super().__init__(f"cancel action {action!r} is unknown; use interrupt or rollback")
        self.action = action


class UnsupportedOptionError(RunsError, ValueError):
    """An option of the run is not available; nothing was stored."""

    code = "unsupported-option"

    def __init__(self, option: str) -> None:
        super().__init__(f"option {option!r} is not available; leave it out")
        self.option = option


class NotNewestStateError(RunsError, ValueError):
    """A function's run was to begin at an older state of its thread; nothing was stored."""

    code = "not-newest-state"

    def __init__(self, thread_id: str, checkpoint_id: str) -> None:
        super().__init__(
            f"{checkpoint_id} is not the newest state of thread {thread_id}, and a function begins "
            "at no other; read the state again, or leave checkpoint out"
        )
        self.thread_id = thread_id
        self.checkpoint_id = checkpoint_id


class WebhookRefusedError(RunsError, ValueError):
    """The webhook's address must not be called; nothing was stored."""

    code = "webhook-refused"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the webhook is refused: {reason}")
        self.reason = reason


class WebhookNotFoundError(RunsError):
    """The run was created without a webhook."""

    code = "webhook-not-found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has no webhook")
        self.run_id = run_id


class RunNotCancellableError(RunsError):
    """The run has finished by itself; nothing was changed."""

    code = "run-not-cancellable"

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"run {run_id} has finished ({status}) and cannot be cancelled")
        self.run_id = run_id
        self.status = status


class RunNotStartableError(RunsError):
    """The run may not be executed by this caller (finished, cancelled, or not its turn)."""

    code = "run-not-startable"

    def __init__(self, run_id: str, reason: str) -> None:
        super().__init__(f"run {run_id} cannot start: {reason}")
        self.run_id = run_id
        self.reason = reason


class RunFailedError(RunsError):
    """The awaited run ended in an error; it has no final values."""

    code = "run-failed"

    def __init__(self, run_id: str, error: str, message: str) -> None:
        super().__init__(f"run {run_id} failed: {error}: {message}")
        self.run_id = run_id
        self.error = error
        self.message = message


class RunInterruptedError(RunsError):
    """The awaited run was cancelled; it has no final values."""

    code = "run-interrupted"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} was interrupted before it had final values")
        self.run_id = run_id


class RunStoppedError(RunsError):
    """The run that a sync function executes shall stop; the function should clean up and return."""

    code = "run-stopped"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is being stopped; nothing more of it is stored")
        self.run_id = run_id


class InputTimeoutError(RunsError, TimeoutError):
    """Nobody answered the question of a run in time; the question is withdrawn."""

    code = "input-timeout"

    def __init__(self, run_id: str, waited_s: float) -> None:
        super().__init__(f"run {run_id} was not answered within {waited_s:g} s")
        self.run_id = run_id


class InputTooLargeError(RunsError, ValueError):
    """A question, or its answer, exceeds what a thread may hold; nothing was stored."""

    code = "input-too-large"

    def __init__(self, what: str, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"{what} of {size_bytes} bytes exceeds the limit of {limit_bytes}")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class NothingToResumeError(RunsError):
    """A run brought an answer, and nothing on its thread waits for one; the thread is unchanged."""

    code = "nothing-to-resume"

    def __init__(self, thread_id: str) -> None:
        super().__init__(
            f"nothing on thread {thread_id} waits for an answer; start a run with an input"
        )
        self.thread_id = thread_id


class OutputsNotFoundError(RunsError):
    """The run succeeded, but the log no longer holds its final values."""

    code = "outputs-not-found"

    def __init__(self, run_id: str, event_id: str) -> None:
        super().__init__(f"the final values of run {run_id} (event {event_id}) left the log")
        self.run_id = run_id
        self.event_id = event_id


class IllegalTransitionError(RunsError):
    """A run cannot go from its status to the wanted one; nothing was changed."""

    code = "illegal-transition"

    def __init__(self, run_id: str, status: str, wanted: str) -> None:
        super().__init__(f"run {run_id} is {status} and cannot become {wanted}")
        self.run_id = run_id
        self.status = status
        self.wanted = wanted


class AssistantNotFoundError(RunsError):
    """No assistant has this name or id; nothing was stored."""

    code = "assistant-not-found"

    def __init__(self, assistant_id: str) -> None:
        super().__init__(f"assistant {assistant_id!r} is not declared")
        self.assistant_id = assistant_id


class AssistantVersionNotFoundError(RunsError):
    """The assistant has no such version, or no more; nothing was changed."""

    code = "assistant-version-not-found"

    def __init__(self, assistant_id: str, version: int) -> None:
        super().__init__(f"assistant {assistant_id} has no version {version}")
        self.assistant_id = assistant_id
        self.version = version


class AssistantExistsError(RunsError):
    """The id of a new assistant is taken; nothing was stored."""

    code = "assistant-exists"

    def __init__(self, assistant_id: str) -> None:
        super().__init__(f"assistant id {assistant_id} is taken; use another one, or none")
        self.assistant_id = assistant_id


class AssistantDeclaredError(RunsError):
    """The assistant is declared by the deployment; nothing was changed."""

    code = "assistant-declared"

    def __init__(self, assistant_id: str) -> None:
        super().__init__(
            f"assistant {assistant_id!r} is declared and changes with the deployment only; make "
            "one of your own with it as graph_id"
        )
        self.assistant_id = assistant_id


class AssistantLoadError(RunsError):
    """An assistant's function cannot be loaded; its runs end in this error."""

    code = "assistant-load"

    def __init__(self, function: str, reason: str) -> None:
        super().__init__(f"assistant function {function!r} cannot be loaded: {reason}")
        self.function = function
        self.reason = reason


class LangGraphMissingError(RunsError, ImportError):
    """LangGraph is not installed; nothing was loaded."""

    code = "langgraph-missing"

    def __init__(self) -> None:
        super().__init__('LangGraph is needed: pip install "jetrun[langgraph]"')


class BlockingCallError(RunsError, RuntimeError):
    """A call that waits was made on the event loop that it would wait for; nothing was done."""

    code = "blocking-call"

    def __init__(self, call: str) -> None:
        super().__init__(
            f"{call}() would block the event loop that has to answer it; await a{call}(), or call "
            "it from another thread"
        )
        self.call = call


class ReadModelBehindError(RunsError):
    """The tables that are searched did not catch up with the records in time; nothing was read."""

    code = "read-model-behind"
    retryable = True

    def __init__(self, wait_s: float) -> None:
        super().__init__(
            f"the read model did not catch up with the records within {wait_s:g} s, as after a "
            "start without its file; ask again"
        )
        self.wait_s = wait_s


class ReadModelUnavailableError(RunsError):
    """The tables that are searched cannot be used; the records themselves are not concerned."""

    code = "read-model-unavailable"
    retryable = True

    def __init__(self, reason: str) -> None:
        super().__init__(f"the read model cannot be used: {reason}")
        self.reason = reason


class CheckpointNotFoundError(RunsError):
    """The thread has no such checkpoint; nothing was changed."""

    code = "checkpoint-not-found"

    def __init__(self, thread_id: str, checkpoint_id: str) -> None:
        super().__init__(f"thread {thread_id} has no checkpoint {checkpoint_id}")
        self.thread_id = thread_id
        self.checkpoint_id = checkpoint_id


class StateUpdateError(RunsError, ValueError):
    """The graph refuses an update of a thread's state; nothing was changed."""

    code = "state-update"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the graph refuses this: {reason}")
        self.reason = reason


class GraphFailedError(RunsError):
    """The code of a graph failed while it was asked about a state, or about itself."""

    code = "graph-failed"

    def __init__(self, reason: str) -> None:
        super().__init__(f"the graph failed: {reason}")
        self.reason = reason


class CronNotFoundError(RunsError):
    """There is no such cron, or it is someone else's."""

    code = "cron-not-found"

    def __init__(self, cron_id: str) -> None:
        super().__init__(f"cron {cron_id} does not exist")
        self.cron_id = cron_id


class InvalidScheduleError(RunsError, ValueError):
    """A cron's schedule says nothing, or nothing that is allowed; nothing was changed."""

    code = "invalid-schedule"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field


class TooManyCronsError(RunsError):
    """There are as many crons as there may be; nothing was stored."""

    code = "too-many-crons"

    def __init__(self, holder: str, max_crons: int) -> None:
        super().__init__(f"{holder} has {max_crons} crons, the most allowed; delete one")
        self.max_crons = max_crons
