"""What every durable consumer promises, whatever log it reads.

The log remembers the position of a name. An event is handed out until somebody acknowledges it, to
one of those who read under the name; after ``max_deliver`` hand-outs, or when its handler gives it
up, it becomes a dead letter that stays readable. Deliveries are at least once.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Protocol, Self

from pydantic import Field

from bridge.dead_letters import DeadCause
from bridge.errors import InvalidStartError
from bridge.events import StreamEvent
from bridge.ids import START, EventId, check_id, parse_cursor
from bridge.settings import Seconds, Section

ALL: Final = "all"
NEW: Final = "new"
#: How long an iteration waits for an event before it looks whether its bridge is open.
POLL_S: Final = 5.0


class ConsumerSpec(Section):
    """What a name stands for; all who open the name must agree on it.

    Make it with :meth:`checked`.
    """

    name: str
    thread_id: str | None = None
    run_id: str | None = None
    categories: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    start: str = ALL
    batch: int = Field(100, ge=1, le=10_000, description="fetched at one time; each may differ")
    ack_wait_s: Seconds = 30.0
    max_deliver: int | None = Field(5, ge=1, description="None: an event is never given up")
    max_ack_pending: int = Field(1000, ge=1, description="handed out and not acknowledged yet")
    is_kept: bool = Field(default=False, description="not removed when nobody uses it")

    @classmethod
    def checked(
        cls, name: str, *, categories: Iterable[str] | None = None, **options: object
    ) -> Self:
        """Make a specification from arguments as they came in.

        Raises:
            InvalidIdError: The name or an id is not one subject token.
            InvalidStartError: ``start`` is neither ``all`` nor ``new`` nor an event id.
            ValueError: A number is out of its bounds.
        """
        check_id("consumer", name)
        for kind in ("thread_id", "run_id"):
            if options.get(kind) is not None:
                check_id(kind, options[kind])
        named = None if categories is None else tuple(sorted(set(categories)))
        spec = cls.model_validate({"name": name, "categories": named, **options})
        spec.first_seq()
        return spec

    def first_seq(self) -> int | None:
        """Return the stream sequence that the name starts from; None for what is stored from now.

        Raises:
            InvalidStartError: ``start`` is neither ``all`` nor ``new`` nor an event id.
        """
        if self.start == NEW:
            return None
        cursor = START if self.start == ALL else parse_cursor(self.start)
        if cursor is START:
            return 1
        if not isinstance(cursor, EventId):
            raise InvalidStartError(self.start)
        return cursor.stream_seq + 1


@dataclass(frozen=True, slots=True)
class ConsumerInfo:
    """What the log knows of one durable consumer, as of the moment of asking.

    Attributes:
        name: Its name.
        thread_id: The thread that it is limited to, if it is.
        run_id: The run that it is limited to, if it is.
        waiting: Events that were never handed out.
        unacknowledged: Events that were handed out and not acknowledged.
        acknowledged_seq: All its events up to this stream sequence were acknowledged.
        created_at: When it was made, RFC 3339.
    """

    name: str
    thread_id: str | None
    run_id: str | None
    waiting: int
    unacknowledged: int
    acknowledged_seq: int
    created_at: str

    @property
    def is_caught_up(self) -> bool:
        """Whether every event of the log was acknowledged."""
        return not self.waiting and not self.unacknowledged


class Claim(Protocol):
    """One event that a log has handed out, until its fate is told."""

    event: StreamEvent
    attempt: int

    async def ack(self) -> None:
        """Say that the event is handled."""

    async def nak(self, delay_s: float) -> None:
        """Give it back."""

    async def in_progress(self) -> None:
        """Start its time anew."""

    async def bury(self, cause: DeadCause, reason: str) -> None:
        """Keep it as a dead letter, then take it off."""


class ClaimSource(Protocol):
    """Hands out the events of one name."""

    async def fetch(self, max_events: int, *, ask: int, wait_s: float) -> list[Claim]:
        """Return what is there, or none after ``wait_s``; have up to ``ask`` events at hand."""

    async def close(self) -> None:
        """Stop asking, and give back what was not returned."""


class Delivery:
    """One event handed to a durable consumer, to be acknowledged once it is handled for good.

    The first of :meth:`ack`, :meth:`nak` and :meth:`term` counts; later ones change nothing.

    Attributes:
        event: The event.
        thread_id: The thread that owns its run.
        run_id: Its run.
        attempt: How often it was handed out to anybody under this name, as far as the log knows.
    """

    __slots__ = ("_claim", "_is_settled", "_max_deliver", "attempt", "event")

    def __init__(self, claim: Claim, max_deliver: int | None) -> None:
        self._claim = claim
        self._max_deliver = max_deliver
        self._is_settled = False
        self.event = claim.event
        self.attempt = claim.attempt

    @property
    def thread_id(self) -> str:
        """The thread that owns the event's run."""
        return self.event.thread_id

    @property
    def run_id(self) -> str:
        """The event's run."""
        return self.event.run_id

    async def ack(self) -> None:
        """Say that the event is handled; lost with the connection, it comes again."""
        if not self._is_settled:
            await self._claim.ack()
            self._is_settled = True

    async def nak(self, delay_s: float = 0) -> None:
        """Give the event back, to be handed out again after ``delay_s`` seconds.

        At the last of ``max_deliver`` deliveries it becomes a dead letter instead.

        Raises:
            UnavailableError: The dead letter could not be stored; the event comes again.
        """
        if self._is_settled:
            return
        if self._max_deliver is not None and self.attempt >= self._max_deliver:
            reason = f"given back at delivery {self.attempt} of {self._max_deliver}"
            await self._claim.bury(DeadCause.EXHAUSTED, reason)
        else:
            await self._claim.nak(delay_s)
        self._is_settled = True

    async def in_progress(self) -> None:
        """Say that the event is still being handled: its ``ack_wait_s`` starts anew."""
        if not self._is_settled:
            await self._claim.in_progress()

    async def term(self, reason: str) -> None:
        """Give the event up: it becomes a dead letter with ``reason``, and never comes again.

        Raises:
            UnavailableError: The dead letter could not be stored; the event comes again.
        """
        if not self._is_settled:
            await self._claim.bury(DeadCause.TERMINATED, reason)
            self._is_settled = True


class Consumption:
    """The events handed to one reader of a name: fetch them, or iterate, one reader at a time.

    An iteration begins with one event at hand and doubles that up to ``batch`` while events come
    for the first time. So a process that dies on its first event has only taken that one, and its
    neighbours are not counted as delivered.

    Args:
        source: Hands out the name's events.
        spec: What the name stands for.
    """

    def __init__(self, source: ClaimSource, spec: ConsumerSpec) -> None:
        self._source = source
        self._spec = spec
        self._wanted = None if spec.categories is None else frozenset(spec.categories)
        self._ask = 1

    async def fetch(
        self, max_events: int, *, wait_s: float, ask: int | None = None
    ) -> list[Delivery]:
        """Return waiting events, or none after ``wait_s`` seconds.

        None does not say that all events were handled: others may hold some, or the server may be
        away, which counts as waiting. ``list_consumers`` of the bridge tells.

        Args:
            max_events: At most so many.
            wait_s: Seconds to wait for the first one; 0: what the log has now.
            ask: How many to have at hand for later calls; None: not more than ``max_events``.

        Raises:
            ConsumerNotFoundError: The name was deleted, or nobody used it for too long.
            UnavailableError: A dead letter could not be stored; the event comes again.
            BridgeClosedError: The bridge was closed.
        """
        while True:
            claims = await self._source.fetch(max_events, ask=ask or max_events, wait_s=wait_s)
            deliveries = [each for claim in claims if (each := await self._admit(claim))]
            if deliveries or not claims:
                return deliveries

    async def _admit(self, claim: Claim) -> Delivery | None:
        limit = self._spec.max_deliver
        if self._wanted is not None and claim.event.category not in self._wanted:
            await claim.ack()
            return None
        if limit is not None and claim.attempt > limit:
            reason = f"not acknowledged in {limit} deliveries of {self._spec.ack_wait_s:g} s"
            await claim.bury(DeadCause.EXHAUSTED, reason)
            return None
        return Delivery(claim, limit)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        """Return the next event, however long it takes to come; errors as for :meth:`fetch`."""
        while True:
            found = await self.fetch(1, wait_s=POLL_S, ask=self._ask)
            if found:
                is_first_time = found[0].attempt == 1
                self._ask = min(self._ask * 2, self._spec.batch) if is_first_time else 1
                return found[0]

    async def close(self) -> None:
        """Give back what was not handed to the reader; the name and its position stay."""
        await self._source.close()
