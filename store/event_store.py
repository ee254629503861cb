"""The contract of an event store: records of runs, written once and read in pages.

``seq`` is strictly increasing per thread and never used twice. A read sees every write that
returned before it. What was deleted cannot come back.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, Unpack

from bridge import BatchTooLargeError, NewEvent, RunRef, check_id, encode_json
from store.merging import Records, RunSpan, merge_ascending, merge_descending
from store.new_record import NewRecord, RecordFacts
from store.page import RecordPage
from store.record import Record

MESSAGE: Final = "message"
MAX_BATCH_RECORDS: Final = 1000
#: A list ends early when its records are larger in all.
MAX_PAGE_BYTES: Final = 16 << 20


class RunEventStore(ABC):
    """Puts and lists the records of runs; see the module for what holds in each implementation."""

    async def put(self, **facts: Unpack[RecordFacts]) -> Record:
        """Store one record durably.

        Args:
            facts: The fields of :class:`NewRecord`: ``thread_id``, ``run_id``, ``event_type`` and
                ``category``; ``content`` (empty), ``metadata`` (none) and ``created_at`` (now).

        Raises:
            InvalidIdError, InvalidEventError, InvalidContentError: Nothing was stored.
            StreamTerminatedError: The run has ended or was deleted; nothing was stored.
        """
        return (await self.put_batch([NewRecord(**facts)]))[0]

    async def put_batch(self, records: Sequence[NewRecord | Mapping[str, Any]]) -> list[Record]:
        """Store records of one thread, each in its own run, all or none per run.

        Returns:
            The stored records, in the order of ``records``.

        Raises:
            ValueError: They are of several threads; nothing was stored.
            BatchTooLargeError: A run has more than 1000; nothing was stored.
            BridgeError: As for :meth:`put`. Records of other runs of the batch may be stored.
        """
        given = [NewRecord.model_validate(record) for record in records]
        groups: dict[RunRef, list[NewEvent]] = {}
        for record in given:
            run = RunRef.checked(record.thread_id, record.run_id)
            groups.setdefault(run, []).append(record.encoded())
        if len({run.thread_id for run in groups}) > 1:
            msg = "a batch is of one thread"
            raise ValueError(msg)
        for events in groups.values():
            if len(events) > MAX_BATCH_RECORDS:
                raise BatchTooLargeError(len(events), MAX_BATCH_RECORDS)
        stored = {
            run.run_id: iter(await self._append(run, events)) for run, events in groups.items()
        }
        return [next(stored[record.run_id]) for record in given]

    @abstractmethod
    async def _append(self, run: RunRef, events: Sequence[NewEvent]) -> list[Record]:
        """Store all of ``events`` or none, and return them as records."""

    async def put_if_absent(self, **facts: Unpack[RecordFacts]) -> tuple[Record, bool]:
        """Store a record unless the run has one of its type, whoever races; as :meth:`put`.

        Returns:
            The run's record of that type, and whether this call stored it.
        """
        record = NewRecord(**facts)
        run = RunRef.checked(record.thread_id, record.run_id)
        return await self._append_if_absent(run, record.encoded())

    @abstractmethod
    async def _append_if_absent(self, run: RunRef, event: NewEvent) -> tuple[Record, bool]:
        """Store an event unless the run has one of its name."""

    async def _find_of_type(self, run: RunRef, event_type: str) -> Record | None:
        """Return the run's first record of a type; its birth, which has a type too, is none."""
        async with aclosing(self._ascending(run, 0)) as records:
            async for record in records:
                if record.event_type == event_type and record.run_seq > 1:
                    return record
        return None

    async def end_run(self, *, thread_id: str, run_id: str) -> Record:
        """End a run for good, or return how it has ended; a later put is refused.

        Raises:
            StreamNotFoundError: There is no such run.
        """
        return await self._end(RunRef.checked(thread_id, run_id))

    @abstractmethod
    async def _end(self, run: RunRef) -> Record:
        """End a run."""

    async def list_messages(
        self,
        thread_id: str,
        *,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
    ) -> list[Record]:
        """List a thread's records of category ``message``, ascending.

        Args:
            thread_id: The thread; one that does not exist has none.
            limit: At most so many, and fewer when they exceed 16 MiB; 0 gives none.
            before_seq: Take the last ones below this sequence.
            after_seq: Take the first ones above it. With neither, the latest are taken.

        Raises:
            InvalidPageError: ``limit`` is negative, or both sequences are given.
        """
        page = RecordPage(limit, before_seq, after_seq, category=MESSAGE)
        return await self._list_thread(check_id("thread_id", thread_id), page)

    async def list_messages_by_run(
        self,
        thread_id: str,
        run_id: str,
        *,
        limit: int = 50,
        before_seq: int | None = None,
        after_seq: int | None = None,
    ) -> list[Record]:
        """List a run's records of category ``message``; as :meth:`list_messages`."""
        page = RecordPage(limit, before_seq, after_seq, category=MESSAGE)
        return await self._list_run(RunRef.checked(thread_id, run_id), page)

    async def list_events(  # noqa: PLR0913 - what a page is, given by keyword
        self,
        thread_id: str,
        run_id: str,
        *,
        event_types: Collection[str] | None = None,
        category: str | None = None,
        before_seq: int | None = None,
        after_seq: int | None = None,
        limit: int = 500,
    ) -> list[Record]:
        """List a run's records, ascending, from the first one on.

        Args:
            thread_id: The thread.
            run_id: The run; one that does not exist has none.
            event_types: Only these; ``None`` means all.
            category: Only this one; ``None`` means all.
            before_seq: Take the last ones below this sequence.
            after_seq: Take the first ones above it. With neither, the first are taken.
            limit: As for :meth:`list_messages`.

        Raises:
            InvalidPageError: ``limit`` is negative, or both sequences are given.
        """
        if before_seq is None and after_seq is None:
            after_seq = 0
        page = RecordPage(limit, before_seq, after_seq, category, event_types)
        return await self._list_run(RunRef.checked(thread_id, run_id), page)

    async def count_messages(self, thread_id: str) -> int:
        """Count a thread's records of category ``message``; reads all its records."""
        count = 0
        for span in await self._spans(check_id("thread_id", thread_id)):
            async for record in self._ascending(span.run, 0):
                count += record.category == MESSAGE
        return count

    async def delete_by_run(self, thread_id: str, run_id: str) -> int:
        """Erase a run; a later put to it is refused, and its sequences are never used again.

        Returns:
            How many records went; 0 when there is no such run.

        Raises:
            ErasureDelayedError: The run is deleted, and its file will be once a sink runs.
        """
        return await self._delete(RunRef.checked(thread_id, run_id))

    @abstractmethod
    async def _delete(self, run: RunRef) -> int:
        """Erase a run."""

    async def delete_by_thread(self, thread_id: str) -> int:
        """Erase all runs of a thread; a later put to it is refused, in any run.

        Returns:
            How many records went.

        Raises:
            ErasureDelayedError: As for :meth:`delete_by_run`.
        """
        return await self._delete_thread(check_id("thread_id", thread_id))

    @abstractmethod
    async def _delete_thread(self, thread_id: str) -> int:
        """Erase all runs of a thread."""

    async def _list_thread(self, thread_id: str, page: RecordPage) -> list[Record]:
        if page.limit == 0:
            return []
        spans = await self._spans(thread_id)
        after, before = page.after_seq, page.before_seq
        if after is not None:
            spans = [span for span in spans if span.last_seq > after]
            ascending = merge_ascending(spans, lambda run: self._ascending(run, after))
            return await _take(ascending, page)
        spans = [span for span in spans if before is None or span.first_seq < before]
        descending = merge_descending(spans, lambda run: self._descending(run, page))
        return (await _take(descending, page))[::-1]

    async def _list_run(self, run: RunRef, page: RecordPage) -> list[Record]:
        if page.limit == 0:
            return []
        if page.after_seq is not None:
            return await _take(self._ascending(run, page.after_seq), page)
        return (await _take(self._descending(run, page), page))[::-1]

    @abstractmethod
    async def _spans(self, thread_id: str) -> Sequence[RunSpan]:
        """Return a thread's runs."""

    @abstractmethod
    def _ascending(self, run: RunRef, after_seq: int) -> Records:
        """Yield a run's records above a sequence; none when there is no such run."""

    @abstractmethod
    def _descending(self, run: RunRef, page: RecordPage) -> Records:
        """Yield a run's records, newest first, at least those that the page takes."""


async def _take(records: Records, page: RecordPage) -> list[Record]:
    found: list[Record] = []
    size_bytes = 0
    async with aclosing(records):
        async for record in records:
            if page.takes(record):
                found.append(record)
                size_bytes += len(encode_json(record.content))
            if len(found) == page.limit or size_bytes >= MAX_PAGE_BYTES:
                break
    return found
