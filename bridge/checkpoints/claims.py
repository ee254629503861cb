"""Who may write a thread's checkpoints: the newest claim, and nobody who holds an older one.

A claim is one message for each thread. Every write names its sequence as the one that the claim
must still have, so the server itself refuses a writer that was replaced, whatever it still sends.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final
from uuid import uuid4

import orjson

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError, CheckpointFencedError, Stored, StreamCapacityExceededError
from bridge.ids import token
from bridge.publication import DECIDE_BY_READING, FULL, publish_once
from bridge.replies import SilenceError
from bridge.stream_reader import StoredMessage, StreamReader
from bridge.subjects import CheckpointKey, CheckpointSubjects

#: Stands for no run; no id is spelled so.
NO_RUN: Final = "~"
_THIS_SUBJECT: Final = "sub"
#: Threads whose claim is remembered, so that the next one need not be read before.
_MAX_KNOWN: Final = 1024


@dataclass(frozen=True, slots=True)
class StoredClaim:
    """A thread's claim as it is stored.

    Attributes:
        seq: Its sequence; 0 where nobody has written the thread.
        run_id: The run that writes; ``None`` for a writer that is no run.
        attempt: The run's attempt, 0 where it is not known.
        since: The sequence of the run's first claim: everything that it stored lies behind it.
        is_over: Whether the run was rolled back; it may not write any more.
    """

    seq: int = 0
    run_id: str | None = None
    attempt: int = 0
    since: int = 0
    is_over: bool = False


@dataclass(slots=True)
class _Change:
    """What a thread's claim shall become, whatever it is when the server takes it.

    Attributes:
        thread_id: The thread.
        subject: Of its claim.
        decide: Returns what replaces what is there.
        more: Headers of what is stored.
        nonce: By which it is recognised when the server's answer was lost.
        stored: What is known of whether it is stored.
    """

    thread_id: str
    subject: str
    decide: Callable[[StoredClaim], StoredClaim]
    more: Mapping[str, str]
    nonce: str = field(default_factory=lambda: uuid4().hex[:16])
    stored: Stored = Stored.NO

    def note(self, silence: SilenceError) -> None:
        """Note that the server did not answer."""
        if silence.sent:
            self.stored = Stored.UNKNOWN


class ThreadClaim:
    """The right to write one thread's checkpoints until somebody else claims it.

    Args:
        thread_id: The thread.
        run_id: The run that writes, if it is one.
        seq: The claim's sequence.
    """

    def __init__(self, thread_id: str, run_id: str | None, seq: int) -> None:
        self.thread_id = thread_id
        self.run_id = run_id
        self.seq = seq
        #: A cluster takes one message at a time under one condition, and refuses others meanwhile.
        self.turn = asyncio.Lock()
        self._thread = token(thread_id)
        self._run = NO_RUN if run_id is None else token(run_id)
        self._numbers = count()

    def new_key(self, lane: str, entry_id: str) -> CheckpointKey:
        """Name the next message; its order is above that of all messages before it."""
        order = f"{self.seq:016x}{next(self._numbers):08x}"
        return CheckpointKey(self._thread, token(lane), token(entry_id), order, self._run)


def claim_of(key: CheckpointKey) -> int:
    """Return the sequence of the claim under which a message was written."""
    return int(key.order[:16], 16)


class Claims:
    """Takes and reads claims.

    Args:
        connection: An open connection.
        reader: Reads the stream of checkpoints.
        subjects: Spells the subjects.
    """

    def __init__(
        self, connection: Connection, reader: StreamReader, subjects: CheckpointSubjects
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._subjects = subjects
        self._known: OrderedDict[str, StoredClaim] = OrderedDict()

    async def find(self, thread_id: str) -> StoredClaim:
        """Return a thread's claim as the leader knows it.

        Raises:
            UnavailableError: The server fell silent.
        """
        return await self.find_by_token(token(thread_id))

    async def find_by_token(self, thread: str) -> StoredClaim:
        """Return the claim of a thread that is given by its token; see :meth:`find`."""
        return _stored(await self._reader.find_last(self._subjects.claim_of(thread)))

    async def take(self, thread_id: str, run_id: str | None, attempt: int) -> ThreadClaim:
        """Claim a thread; all who hold an older claim can store nothing from then on.

        Raises:
            CheckpointFencedError: A later attempt of the run has claimed it, or the run was rolled
                back; nothing was changed.
            StreamCapacityExceededError: The server's storage is full.
            UnavailableError: The server fell silent; call again.
        """

        def decide(found: StoredClaim) -> StoredClaim:
            is_ours = run_id is not None and found.run_id == run_id
            if is_ours and (found.is_over or found.attempt > attempt):
                raise CheckpointFencedError(thread_id, run_id, is_over=found.is_over)
            return StoredClaim(0, run_id, attempt, found.since if is_ours else 0)

        return ThreadClaim(thread_id, run_id, await self._replace(thread_id, decide))

    async def end(self, thread_id: str, run_id: str) -> int | None:
        """Keep a run from writing any more.

        Returns:
            The sequence of its first claim; ``None`` when the thread is not its own, which it is
            not before the run stored anything, nor after another one did.

        Raises:
            StreamCapacityExceededError: The server's storage is full.
            UnavailableError: The server fell silent; call again.
        """
        found = await self.find(thread_id)
        if found.run_id == run_id and not found.is_over:

            def decide(newest: StoredClaim) -> StoredClaim:
                if newest.run_id != run_id:
                    raise CheckpointFencedError(thread_id, newest.run_id)
                return StoredClaim(0, run_id, newest.attempt, newest.since, is_over=True)

            try:
                await self._replace(thread_id, decide)
            except CheckpointFencedError:
                return None
        return found.since if found.run_id == run_id else None

    async def drop(self, thread_id: str, ttl_s: float) -> None:
        """Keep everybody from writing who has a claim now; what keeps them out goes after a while.

        Raises:
            StreamCapacityExceededError: The server's storage is full.
            UnavailableError: The server fell silent; call again.
        """
        ttl = {wire.TTL: f"{max(1, round(ttl_s))}s"}
        await self._replace(thread_id, lambda _: StoredClaim(), ttl)

    async def _replace(
        self,
        thread_id: str,
        decide: Callable[[StoredClaim], StoredClaim],
        more: Mapping[str, str] | None = None,
    ) -> int:
        change = _Change(thread_id, self._subjects.claim(thread_id), decide, more or {})
        # Mostly still the one that was stored from here last; the server says when it is not.
        known = self._known.pop(thread_id, None)
        claim = None if known is None else await self._replace_known(change, known)
        if claim is None:
            claim = await self._insist(change)
        self._remember(thread_id, claim)
        return claim.seq

    async def _replace_known(self, change: _Change, known: StoredClaim) -> StoredClaim | None:
        """Replace a claim without reading it; ``None`` when that must be done after all."""
        try:
            return await self._publish(change, known)
        except CheckpointFencedError:
            return None  # by what may be another one now
        except SilenceError as silence:
            change.note(silence)
        except ApiError as error:
            if error.err_code not in DECIDE_BY_READING:
                raise
        return None

    async def _insist(self, change: _Change) -> StoredClaim:
        outage = self._connection.outage(f"claiming the checkpoints of {change.thread_id}")
        while True:
            async with outage.bounding(change.stored):
                message = await self._reader.find_last(change.subject)
            if message is not None and message.headers.get(wire.WRITER) == change.nonce:
                return _stored(message)
            try:
                return await self._publish(change, _stored(message))
            except SilenceError as silence:
                change.note(silence)
            except ApiError as error:
                if error.err_code not in DECIDE_BY_READING:
                    raise
            await outage.wait(change.stored)

    async def _publish(self, change: _Change, found: StoredClaim) -> StoredClaim:
        """Put what is wanted in the place of what was found; return it as it is stored."""
        wanted = change.decide(found)
        headers = {
            wire.EXPECTED_SUBJECT_SEQUENCE: str(found.seq),
            wire.ROLLUP: _THIS_SUBJECT,
            wire.WRITER: change.nonce,
            **change.more,
        }
        lines = wire.encode_stored(headers)
        try:
            ack = await publish_once(self._connection, change.subject, _encode(wanted), lines)
        except ApiError as error:
            if error.err_code in FULL:
                raise StreamCapacityExceededError(f"checkpoints: {error.description}") from error
            raise
        return replace(wanted, seq=ack.seq, since=wanted.since or ack.seq)

    def _remember(self, thread_id: str, claim: StoredClaim) -> None:
        self._known[thread_id] = claim
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)


def _encode(claim: StoredClaim) -> bytes:
    facts = {
        "run_id": claim.run_id,
        "attempt": claim.attempt,
        "since": claim.since,
        "is_over": claim.is_over,
    }
    return orjson.dumps(facts)


def _stored(message: StoredMessage | None) -> StoredClaim:
    if message is None:
        return StoredClaim()
    facts = orjson.loads(message.payload)
    # A run's first claim cannot name its own sequence.
    facts["since"] = facts["since"] or message.seq
    return StoredClaim(message.seq, **facts)
