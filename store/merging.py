"""Merge the records of several runs by sequence, opening each run when its turn comes.

The runs of a thread hardly overlap, so a merge has few of them open at a time, however many there
are.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from heapq import heapify, heappop, heappush
from typing import NamedTuple, TypeAlias

from bridge import RunRef
from store.record import Record


class RunSpan(NamedTuple):
    """Where a run lies in the log.

    Attributes:
        run: The run.
        first_seq: The sequence of its first record.
        last_seq: The sequence of its last one.
        is_ended: Whether that one ends it.
    """

    run: RunRef
    first_seq: int
    last_seq: int
    is_ended: bool


Records: TypeAlias = AsyncGenerator[Record]


async def merge_ascending(spans: Sequence[RunSpan], read: Callable[[RunRef], Records]) -> Records:
    """Yield the records of all runs, ascending by sequence."""
    starts = [(span.first_seq, span.run) for span in spans]
    async for record in _merge(starts, read, sign=1):
        yield record


async def merge_descending(spans: Sequence[RunSpan], read: Callable[[RunRef], Records]) -> Records:
    """Yield the records of all runs, descending by sequence."""
    starts = [(-span.last_seq, span.run) for span in spans]
    async for record in _merge(starts, read, sign=-1):
        yield record


async def _merge(
    starts: list[tuple[int, RunRef]], read: Callable[[RunRef], Records], *, sign: int
) -> Records:
    heapify(starts)
    heads: list[tuple[int, RunRef, Record]] = []
    opened: dict[RunRef, Records] = {}
    async with AsyncExitStack() as stack:
        while starts or heads:
            # A run is opened once it may hold the next record.
            if starts and (not heads or starts[0][0] <= heads[0][0]):
                _, run = heappop(starts)
                opened[run] = await stack.enter_async_context(aclosing(read(run)))
            else:
                _, run, record = heappop(heads)
                yield record
            following = await anext(opened[run], None)
            if following is not None:
                heappush(heads, (sign * following.seq, run, following))
