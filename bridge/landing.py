"""Bring a flight into the log, whatever gets lost on the way.

A flight whose fate is unknown is decided by reading the event behind its predecessor, and by
nothing else. Absence proves nothing, because reads overtake publishes and a leader that was just
deposed may still answer: then the same flight is sent again, and the compare-and-set lets at most
one copy in.
"""

import time
from typing import Final

from bridge.connection import Connection
from bridge.errors import (
    ApiError,
    BridgeError,
    EventTooLargeError,
    Stored,
    StreamCapacityExceededError,
    UnavailableError,
)
from bridge.flight import Flight
from bridge.ids import EventId
from bridge.metrics.publishing import PublishFigures
from bridge.outage import Outage
from bridge.publication import BATCH_NOT_STORED, DECIDE_BY_READING, FULL, WRONG_LAST_SEQUENCE, Ack
from bridge.replies import SilenceError
from bridge.run_log import RunLog

#: Instead of a server's code: no answer came.
_SILENCE: Final = 0
#: Instead of a server's code: an event is too large for the server that is connected now.
_TOO_LARGE: Final = 1
_REFUSALS: Final = (SilenceError, ApiError, EventTooLargeError)
_SPLIT_ON: Final = BATCH_NOT_STORED | {_TOO_LARGE}


class Landing:
    """One flight on its way.

    Args:
        connection: An open connection.
        log: The run's stored events.
        flight: What is sent.
        divisible: Whether the events of a batch may be stored one by one instead.
        figures: What comes of it is counted here.

    Attributes:
        must_split: The server would not take the batch now.
    """

    def __init__(
        self,
        connection: Connection,
        log: RunLog,
        flight: Flight,
        *,
        divisible: bool,
        figures: PublishFigures | None = None,
    ) -> None:
        self._connection = connection
        self._log = log
        self._flight = flight
        self._divisible = divisible
        self._figures = figures or PublishFigures()
        self._stored = Stored.NO
        self.must_split = False

    async def land(self) -> Ack | None:
        """Send until it is known to be stored, or overtaken.

        Returns:
            The acknowledgement with the first event's sequence; ``None`` when nothing of it is
            stored, because another writer came first, or because it must be split.

        Raises:
            UnavailableError: The server fell silent; ``stored`` says what is known.
            StreamCapacityExceededError: The log is full.
            EventTooLargeError: The server takes less than it did when the event was queued.
            StreamNotFoundError: The run is gone.
        """
        began = time.monotonic()
        ack: Ack | None
        try:
            try:
                ack = await self._flight.send(self._connection)
            except _REFUSALS as error:
                ack = await self._insist(self._judge(error))
        except BridgeError as error:
            self._figures.failures[error.code] += 1
            raise
        if ack is not None:
            self._note_stored(ack, time.monotonic() - began)
        return ack

    async def _insist(self, refusal: int) -> Ack | None:
        """Send again what was refused, until it is known what became of it."""
        outage = self._connection.outage(f"publishing to run {self._log.run.run_id}")
        while True:
            if refusal in _SPLIT_ON and self._divisible and self._stored is Stored.NO:
                self.must_split = True
                return None
            if refusal or self._stored is Stored.UNKNOWN:
                decided, first_seq = await self._decide(refusal, outage)
                if first_seq is not None:
                    return Ack(first_seq, duplicate=False)
                if decided:
                    self._figures.races += 1
                    return None
            await outage.wait(self._stored)
            self._figures.retries += 1
            try:
                return await self._flight.send(self._connection)
            except _REFUSALS as error:
                refusal = self._judge(error)

    def _note_stored(self, ack: Ack, took_s: float) -> None:
        events = () if ack.duplicate else self._flight.events
        self._figures.stored(len(events), took_s)
        spans = self._connection.spans
        if spans is not None:
            spans.appended(events, EventId(ack.seq, self._flight.first_run_seq), took_s)

    def _judge(self, error: SilenceError | ApiError | EventTooLargeError) -> int:
        """Return the code of a refusal to decide on.

        Raises:
            BridgeError: Refused for good, and no earlier copy can be stored.
        """
        is_unknown = self._stored is Stored.UNKNOWN
        if isinstance(error, SilenceError):
            if error.sent:
                self._stored = Stored.UNKNOWN
            return _SILENCE
        if isinstance(error, EventTooLargeError):
            if is_unknown or self._divisible:
                return _TOO_LARGE
            raise error
        code = error.err_code
        if is_unknown or code in BATCH_NOT_STORED or code in DECIDE_BY_READING:
            return code
        raise _translated(error) from error

    async def _decide(self, refusal: int, outage: Outage) -> tuple[bool, int | None]:
        """Find out what became of the flight.

        Returns:
            Whether it is decided, and if it was stored, its first sequence.
        """
        expected = self._flight.predecessor.stream_seq
        async with outage.bounding(self._stored):
            successor = await self._log.find_next(expected + 1)
            if successor is None and refusal == WRONG_LAST_SEQUENCE:
                await self._log.last()
        if successor is None:
            return False, None
        first_seq = self._flight.find_first(successor)
        is_cut_off = first_seq is None and successor.run_seq > self._flight.first_run_seq
        if is_cut_off and self._stored is Stored.UNKNOWN:
            # What came behind the predecessor was trimmed meanwhile: nobody knows any more.
            raise UnavailableError(f"publishing to run {self._log.run.run_id}", Stored.UNKNOWN)
        return True, first_seq


def _translated(error: ApiError) -> BridgeError:
    if error.err_code in FULL:
        return StreamCapacityExceededError(error.description)
    return error
