"""Every error that the bridge raises, and what state each one leaves behind.

``code`` is stable and safe to match on. ``retryable`` says whether the same call can succeed
later without a change by the caller.
"""

from enum import StrEnum
from typing import ClassVar


class BridgeError(Exception):
    """Base of all errors of this package."""

    code: ClassVar[str] = "bridge"
    retryable: ClassVar[bool] = False


class InvalidIdError(BridgeError, ValueError):
    """An id is not one subject token; nothing was stored."""

    code = "invalid-id"

    def __init__(self, kind: str, value: object) -> None:
        shown = repr(value)
        if len(shown) > 80:  # noqa: PLR2004 - an id may be hostile: never echo it at full length
            shown = shown[:77] + "..."
        super().__init__(f"{kind} {shown} is not 1 to 64 of A-Z, a-z, 0-9, '_' and '-'")
        self.kind = kind


class InvalidEventError(BridgeError, ValueError):
    """An event's name, content or metadata cannot be stored; nothing was stored."""

    code = "invalid-event"


class InvalidContentError(InvalidEventError, TypeError):
    """The data is not JSON: a type without a JSON form, or NaN or Infinity; nothing was stored."""

    code = "invalid-content"

    def __init__(self, reason: str) -> None:
        super().__init__(f"event data is not JSON: {reason}")


class ReservedEventError(InvalidEventError):
    """The name belongs to the stream's own control events; nothing was stored."""

    code = "reserved-event"

    def __init__(self, event: str) -> None:
        super().__init__(
            f"event name {event!r} is reserved; end a run with publish_end, publish_terminal or "
            "cancel, or choose another name"
        )
        self.event = event


class EventTooLargeError(BridgeError):
    """The event exceeds what the log accepts; nothing was stored."""

    code = "event-too-large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        super().__init__(f"event of {size_bytes} bytes exceeds the limit of {limit_bytes} bytes")
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class CheckpointTooLargeError(EventTooLargeError):
    """A checkpoint, or what is noted on one, exceeds the limit; nothing was stored."""

    code = "checkpoint-too-large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        BridgeError.__init__(
            self,
            f"checkpoint of {size_bytes} bytes exceeds the limit of {limit_bytes} bytes; keep less "
            "in the state, or raise JETRUN_CHECKPOINTS__MAX_BYTES",
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class ItemTooLargeError(EventTooLargeError):
    """An item exceeds the limit; nothing was stored."""

    code = "item-too-large"

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        BridgeError.__init__(
            self,
            f"item of {size_bytes} bytes exceeds the limit of {limit_bytes} bytes; split it, or "
            "raise JETRUN_ITEMS__MAX_BYTES",
        )
        self.size_bytes = size_bytes
        self.limit_bytes = limit_bytes


class InvalidFilterError(BridgeError, ValueError):
    """A filter of items asks for something that there is not; nothing was read."""

    code = "invalid-filter"

    def __init__(self, operator: str) -> None:
        super().__init__(
            f"filter operator {operator[:80]!r} is unknown; use $eq, $ne, $gt, $gte, $lt or $lte"
        )
        self.operator = operator


class BatchTooLargeError(BridgeError):
    """Too many events for one all-or-nothing call; nothing was stored."""

    code = "batch-too-large"

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size} events in one call exceed the limit of {limit}; split the call")
        self.size = size
        self.limit = limit


class StreamNotFoundError(BridgeError):
    """Nobody created this run, or it was deleted; asking created nothing."""

    code = "stream-not-found"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} has no event stream; create it first")
        self.run_id = run_id


class StreamTerminatedError(BridgeError):
    """The run has its terminal event, or was deleted; nothing was stored."""

    code = "stream-terminated"

    def __init__(self, run_id: str, event: str) -> None:
        super().__init__(f"run {run_id} has ended with {event!r}; no event can follow")
        self.run_id = run_id
        self.event = event


class StreamFencedError(BridgeError):
    """A later attempt writes this run now; nothing was stored, and this writer must stop."""

    code = "stream-fenced"

    def __init__(self, run_id: str, attempt: int, successor: int | None) -> None:
        loss = (
            "cannot tell whether it was taken over: events were trimmed that it had not seen"
            if successor is None
            else f"lost its place to attempt {successor}"
        )
        super().__init__(f"attempt {attempt} of run {run_id} {loss}; stop working")
        self.run_id = run_id
        self.attempt = attempt
        self.successor = successor


class CheckpointFencedError(BridgeError):
    """Another writer has the thread's checkpoints now; nothing was stored, and this one must stop.

    A run that still holds its thread may begin again from the newest checkpoint.
    """

    code = "checkpoint-fenced"

    def __init__(self, thread_id: str, by: str | None, *, is_over: bool = False) -> None:
        who = "another writer has" if by is None else f"run {by} has"
        why = f"run {by} was rolled back in" if is_over else who
        super().__init__(f"{why} thread {thread_id}; this writer cannot store checkpoints there")
        self.thread_id = thread_id
        self.by = by


class CheckpointDamagedError(BridgeError):
    """A checkpoint refers to something that is not stored any more; nothing was changed."""

    code = "checkpoint-damaged"

    def __init__(self, thread_id: str, missing: str) -> None:
        super().__init__(
            f"a checkpoint of thread {thread_id} needs {missing}, which is gone; resume from an "
            "older checkpoint"
        )
        self.thread_id = thread_id
        self.missing = missing


class StreamCapacityExceededError(BridgeError):
    """The log has no room; nothing was stored. Room comes back as ended runs leave."""

    code = "stream-capacity-exceeded"
    retryable = True

    def __init__(self, what: str) -> None:
        super().__init__(f"the log is full: {what}; try again later")
        self.what = what


class ConsumerLimitError(StreamCapacityExceededError):
    """As many named consumers exist as there may be; nothing was made.

    Room comes back as unused ones are removed, or when some are deleted.
    """

    code = "consumer-limit"

    def __init__(self, name: str) -> None:
        super().__init__(f"no room for consumer {name}; delete consumers that nobody needs")
        self.name = name


class ConflictError(BridgeError):
    """The id is already used for something else; nothing was stored."""

    code = "conflict"


class StateConflictError(ConflictError):
    """A state record changed since it was read: read it again and decide again.

    What is read then may show this very write, when its answer was lost and others went on from it.
    """

    code = "state-conflict"
    retryable = True

    def __init__(self, key: str) -> None:
        super().__init__(f"state {key} changed since it was read")
        self.key = key


class AlreadyQueuedError(ConflictError):
    """The run's job waits in the queue already; nothing was added."""

    code = "already-queued"

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is already queued")
        self.run_id = run_id


class BridgeClosedError(BridgeError):
    """The bridge was not started or has been closed; nothing was stored."""

    code = "bridge-closed"

    def __init__(self) -> None:
        super().__init__("the bridge is not open; start it, or use it as a context manager")


class Stored(StrEnum):
    """What is known of a write when the server fell silent."""

    NO = "not stored"
    UNKNOWN = "unknown"


class UnavailableError(BridgeError):
    """The server did not answer within the budget.

    ``stored`` says what is known: ``NO`` means that a repeated call cannot store twice;
    ``UNKNOWN`` means that the write may still land: repeat it with the same ``event_id``, or read
    the run's status before repeating it.
    """

    code = "unavailable"
    retryable = True

    def __init__(self, what: str, stored: Stored = Stored.NO) -> None:
        super().__init__(f"NATS did not answer: {what} ({stored.value})")
        self.stored = stored


class NoAnswerError(BridgeError):
    """No process answered a question in time; the message says whether it may have been done."""

    code = "no-answer"
    retryable = True

    def __init__(self, name: str, within_s: float, *, may_be_done: bool) -> None:
        done = "it may have been done: look before you repeat it" if may_be_done else "try again"
        super().__init__(
            f"no worker of {name} answered within {within_s:g} s; {done}, and see that one runs"
        )
        self.name = name
        self.may_be_done = may_be_done


class ColdTierError(BridgeError):
    """The archive could not be read; nothing is known to be missing from it, so try again."""

    code = "cold-tier"
    retryable = True

    def __init__(self, owner_id: str, reason: str) -> None:
        super().__init__(f"the archive of {owner_id} cannot be read: {reason}")
        self.owner_id = owner_id


class TracingMissingError(BridgeError, ImportError):
    """Traces are wanted, and OpenTelemetry is not installed; nothing was started."""

    code = "tracing-missing"

    def __init__(self) -> None:
        super().__init__('JETRUN_TRACING__ENABLED needs OpenTelemetry: pip install "jetrun[otel]"')


class TopologyDriftError(BridgeError):
    """An existing JetStream asset differs from what is wanted; nothing was changed."""

    code = "topology-drift"

    def __init__(self, asset: str, field: str, wanted: object, found: object) -> None:
        super().__init__(
            f"{asset}: {field} is {found!r}, wanted {wanted!r}; change the setting or update the "
            "asset by hand (nats stream edit, nats consumer edit), then start again"
        )
        self.asset = asset
        self.field = field
        self.wanted = wanted
        self.found = found


class ConsumerDriftError(TopologyDriftError):
    """A consumer's name stands for something else already; nothing was changed.

    Open it with the same arguments, choose another name, or delete the consumer.
    """

    code = "consumer-drift"

    def __init__(self, name: str, field: str, wanted: object, found: object) -> None:
        super().__init__(f"consumer {name}", field, wanted, found)
        self.name = name


class ConsumerNotFoundError(BridgeError):
    """No consumer has this name, or not any more; opening the name makes a new one."""

    code = "consumer-not-found"
    retryable = True

    def __init__(self, name: str) -> None:
        super().__init__(
            f"consumer {name} does not exist; it was never opened, was deleted, or nobody used it"
        )
        self.name = name


class SubscriptionTakenError(ConflictError):
    """Another reader has opened the subscription, or it was deleted; this one reads no more."""

    code = "subscription-taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"subscription {name} was taken over by another reader, or deleted")
        self.name = name


class InvalidStartError(BridgeError, ValueError):
    """A consumer cannot start there; nothing was made."""

    code = "invalid-start"

    def __init__(self, start: str) -> None:
        super().__init__(f"start {start[:80]!r} is neither 'all' nor 'new' nor an event id")


class ServerTooOldError(BridgeError):
    """The NATS server lacks features that the log is built on; nothing was created."""

    code = "server-too-old"

    def __init__(self, found: str, needed: str) -> None:
        super().__init__(f"nats-server {found} is too old; {needed} or newer is needed")
        self.found = found
        self.needed = needed


class JetStreamDisabledError(BridgeError):
    """The NATS server or account has no JetStream; nothing was created."""

    code = "jetstream-disabled"

    def __init__(self, detail: str) -> None:
        super().__init__(f"JetStream is not available: {detail}; enable it in nats.conf")


class AccessDeniedError(BridgeError):
    """The NATS server refused the credentials, or a subject to them; nothing was done."""

    code = "access-denied"

    def __init__(self, detail: str) -> None:
        super().__init__(f"the NATS server refused access: {detail}; check the credentials")


class CredentialsUnusableError(BridgeError):
    """What this process shall prove itself with cannot be used; nothing was connected."""

    code = "credentials-unusable"

    def __init__(self, reason: str) -> None:
        super().__init__(f"{reason}; correct JETRUN_NATS__* and start again")


class StreamsMissingError(BridgeError):
    """A stream does not exist, and this user may not make it; those that exist were verified."""

    code = "streams-missing"
    retryable = True

    def __init__(self, stream: str) -> None:
        super().__init__(
            f"stream {stream} does not exist, and this user may not make it; run `jetrun streams` "
            "with the credentials of the operator, then try again"
        )
        self.stream = stream


class ApiError(BridgeError):
    """JetStream refused a request for a reason that no other error names."""

    code = "jetstream-api"

    def __init__(self, err_code: int, description: str) -> None:
        super().__init__(f"JetStream error {err_code}: {description}")
        self.err_code = err_code
        self.description = description


class UnknownSettingError(BridgeError, ValueError):
    """The environment names a setting that does not exist; nothing was started."""

    code = "unknown-setting"

    def __init__(self, name: str, nearest: str | None) -> None:
        hint = f"; did you mean JETRUN_{nearest.upper()}?" if nearest else ""
        super().__init__(f"{name} is no setting of jetrun{hint}")
        self.name = name


class ForeignMessageError(BridgeError):
    """A stored message is not what jetrun stores there; it was left where it is."""

    code = "foreign-message"

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(
            f"{where} does not come from jetrun ({reason}); find who publishes to its subject"
        )
        self.where = where


class NewerVersionError(ForeignMessageError):
    """What is stored is of a wire version that this process does not know; it was left as it is.

    Another process may read it: upgrade this one.
    """

    code = "newer-version"

    def __init__(self, where: str, found: str, known: str) -> None:
        BridgeError.__init__(
            self,
            f"{where} is of wire version {found[:20]!r}, and this process reads version {known}; "
            "upgrade this process",
        )
        self.where = where
        self.found = found
