"""What becomes of the cursor that a reader comes with: a closed set of outcomes."""

from typing import Final

from bridge.events import GapReason, ResumeResult, ResumeStatus, StreamEvent, StreamGap
from bridge.ids import START, Cursor, EventId
from bridge.subjects import RunRef

#: The position before the first event of any run.
BEFORE_ALL: Final = EventId(0, 0)

_REASONS: Final = {
    ResumeStatus.EVICTED: GapReason.EVICTED,
    ResumeStatus.UNKNOWN: GapReason.UNKNOWN,
    ResumeStatus.INVALID: GapReason.INVALID,
}


def judge_cursor(
    run: RunRef, cursor: Cursor, found: StreamEvent | None, earliest: EventId
) -> ResumeResult:
    """Decide where a reader starts.

    Args:
        run: The run that is read.
        cursor: What the reader came with.
        found: The event that the log holds at the cursor's stream sequence, of whichever run.
        earliest: The first event of the run that is still held.
    """
    if cursor is START:
        return ResumeResult(ResumeStatus.FRESH, BEFORE_ALL)
    if not isinstance(cursor, EventId):
        return ResumeResult(ResumeStatus.INVALID, BEFORE_ALL, None)
    if found is None:
        return _judge_absent(cursor, earliest)
    if found.run_id == run.run_id and found.event_id == cursor:
        return ResumeResult(ResumeStatus.RESUMED, cursor)
    return ResumeResult(ResumeStatus.UNKNOWN, BEFORE_ALL, None)


def _judge_absent(cursor: EventId, earliest: EventId) -> ResumeResult:
    behind = earliest.run_seq - cursor.run_seq
    can_have_been = (
        cursor.stream_seq < earliest.stream_seq
        and 0 < behind <= earliest.stream_seq - cursor.stream_seq
        and cursor.run_seq <= cursor.stream_seq
    )
    if not can_have_been:
        return ResumeResult(ResumeStatus.UNKNOWN, BEFORE_ALL, None)
    if behind == 1:  # the cursor's own event is gone, and nothing after it
        return ResumeResult(ResumeStatus.RESUMED, cursor)
    return ResumeResult(ResumeStatus.EVICTED, cursor, behind - 1)


def gap_of(
    run: RunRef,
    requested: str | None,
    result: ResumeResult,
    *,
    earliest: EventId,
    latest: EventId,
) -> StreamGap | None:
    """Return the gap that a reader must be told about, if any."""
    reason = _REASONS.get(result.status)
    if reason is None:
        return None
    missing = result.gap_count if reason is GapReason.EVICTED else None
    return StreamGap(run.run_id, requested, str(earliest), str(latest), missing, reason)
