"""Keep, find and search values that all processes share.

A value is the newest message of its subject: the last write wins. What is found with one key is
what the leader knows; a search may be a moment behind on a cluster.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError, ItemTooLargeError, StreamCapacityExceededError
from bridge.ids import token
from bridge.items.filters import check_filter, matches
from bridge.items.item import StoredItem, decode_item, encode_item
from bridge.items.namespaces import Labels, NamespacePattern, collect
from bridge.publication import DECIDE_BY_READING, publish_surely
from bridge.settings import ItemSettings
from bridge.stream_reader import StoredMessage, StreamReader
from bridge.subjects import Subjects

#: Items in memory at one time while many are searched.
_PAGE: Final = 64
#: The part of its time that an item may have lost when a read does not renew it yet.
_UNTOUCHED_PART: Final = 0.01
#: Begins the label of a user's items; LangGraph and HTTP take no label with a dot.
_OWNER: Final = "."


class Items:
    """Keeps items; all its calls belong on one event loop.

    What :meth:`of` returns keeps those of one user: it names, finds and lists no others.

    Args:
        connection: An open connection.
        reader: Reads the stream of items.
        subjects: Spells the subjects.
        settings: Limits.
        root: Labels that every namespace begins with, and that callers never see.

    Attributes:
        loop: The event loop that its calls belong on.
        settings: As given.
    """

    def __init__(
        self,
        connection: Connection,
        reader: StreamReader,
        subjects: Subjects,
        settings: ItemSettings,
        root: Labels = (),
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.settings = settings
        self._connection = connection
        self._reader = reader
        self._subjects = subjects
        self._root = root

    def of(self, user_id: str | None) -> "Items":
        """Return the items of one user; ``None`` means all, the users' below a label of each."""
        if user_id is None:
            return self
        root = (*self._root, f"{_OWNER}{user_id}")
        return Items(self._connection, self._reader, self._subjects, self.settings, root)

    async def put(
        self,
        namespace: Sequence[str],
        key: str,
        value: Mapping[str, Any],
        *,
        ttl_s: float | None = None,
    ) -> None:
        """Keep a value; it takes the place of an older one.

        Args:
            namespace: Labels of any text.
            key: Any text.
            value: A JSON object.
            ttl_s: Seconds without use after which it leaves, rounded up; ``None``: it stays.

        Raises:
            InvalidContentError: The value is not JSON; nothing was stored.
            ItemTooLargeError: Above the limit; nothing was stored.
            StreamCapacityExceededError: The server's storage is full; nothing was stored.
            UnavailableError: The server fell silent; call again.
        """
        now = datetime.now(UTC)
        seconds = None if ttl_s is None else max(1, math.ceil(ttl_s))
        item = StoredItem(self._full(namespace), key, dict(value), now, now, seconds)
        size = len(encode_item(item))
        if size > self.settings.max_bytes:
            raise ItemTooLargeError(size, self.settings.max_bytes)
        subject = self._subject(namespace, key)
        older = await self._reader.find_last(subject)
        if older is not None:
            item = replace(item, created_at=decode_item(older.payload).created_at)
        await self._publish(subject, encode_item(item), seconds)

    async def find(
        self, namespace: Sequence[str], key: str, *, refresh: bool = False
    ) -> StoredItem | None:
        """Return an item as the leader knows it.

        Args:
            namespace: Its labels.
            key: Its key.
            refresh: Whether its time starts anew, if it has one.

        Raises:
            UnavailableError: The server fell silent.
        """
        message = await self._reader.find_last(self._subject(namespace, key))
        if message is None:
            return None
        item = decode_item(message.payload)
        if refresh:
            await self._touch(message, item)
        return self._shown(item)

    async def delete(self, namespace: Sequence[str], key: str) -> None:
        """Remove an item, if there is one.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._reader.purge(self._subject(namespace, key))

    async def search(
        self,
        prefix: Sequence[str],
        *,
        wanted: Mapping[str, Any] | None = None,
        limit: int = 10,
        offset: int = 0,
        refresh: bool = False,
    ) -> list[StoredItem]:
        """Return items whose namespace begins with ``prefix``.

        The order is that of namespaces and keys, whatever is put or read meanwhile: those that
        are ids come alphabetically, others in an order of their own behind them.

        Args:
            prefix: Labels; none means all items.
            wanted: What values must say; see :mod:`bridge.items.filters`.
            limit: At most so many.
            offset: Matching items that are passed over.
            refresh: Whether the time of those that are returned starts anew.

        Raises:
            ValueError: ``limit`` or ``offset`` is below 0.
            InvalidFilterError: The filter has unknown operators.
            UnavailableError: The server fell silent.
        """
        _check_page(limit, offset)
        check_filter(wanted or {})
        chosen: list[tuple[StoredMessage, StoredItem]] = []
        # Without a filter what is passed over need not be read.
        unread, passed = (0, offset) if wanted else (offset, 0)
        async with aclosing(self._pages(prefix, unread)) as pages:
            async for page in pages:
                found = ((message, decode_item(message.payload)) for message in page)
                chosen += [each for each in found if matches(each[1].value, wanted or {})]
                # What is passed over need not wait in memory for what follows.
                past = min(passed, len(chosen))
                del chosen[:past]
                passed -= past
                if len(chosen) >= limit:
                    break
        del chosen[limit:]
        if refresh:
            for message, item in chosen:
                await self._touch(message, item)
        return [self._shown(item) for _, item in chosen]

    def _full(self, namespace: Sequence[str]) -> Labels:
        return (*self._root, *namespace)

    def _subject(self, namespace: Sequence[str], key: str) -> str:
        return self._subjects.item(self._full(namespace), key)

    def _shown(self, item: StoredItem) -> StoredItem:
        return replace(item, namespace=item.namespace[len(self._root) :])

    async def _pages(
        self, prefix: Sequence[str], unread: int
    ) -> AsyncGenerator[list[StoredMessage]]:
        async for found in self._reader.subject_pages(self._subjects.items(self._full(prefix))):
            subjects = list(found)[unread:]
            unread = max(0, unread - len(found))
            for start in range(0, len(subjects), _PAGE):
                messages = await self._reader.read_last(subjects[start : start + _PAGE])
                yield sorted(messages, key=lambda message: message.subject)

    async def namespaces(
        self,
        patterns: Sequence[NamespacePattern] = (),
        *,
        max_depth: int | None = None,
        limit: int = 100,
        offset: int = 0,
    ) -> list[Labels]:
        """Return the namespaces that hold items, in the order of :meth:`search`.

        It takes memory for all namespaces that match, however many items there are.

        Args:
            patterns: What a namespace must look like, all of them.
            max_depth: Labels that are kept of each; ``None`` means all.
            limit: At most so many.
            offset: Namespaces that are passed over.

        Raises:
            ValueError: ``limit`` or ``offset`` is below 0.
            UnavailableError: The server fell silent.
        """
        _check_page(limit, offset)
        prefix = max((pattern.literal_prefix for pattern in patterns), key=len, default=())
        found = await collect(self._labels(prefix), patterns, max_depth)
        chosen = list(found.items())[offset : offset + limit]
        # A label that is no id is only a hash in the subject; the item has the text.
        hashed = [
            subject for labels, subject in chosen if any(token(label) != label for label in labels)
        ]
        items = {
            each.subject: decode_item(each.payload) for each in await self._reader.read_last(hashed)
        }
        named: list[Labels] = []
        for labels, subject in chosen:
            if subject in items:
                named.append(self._shown(items[subject]).namespace[: len(labels)])
            elif subject not in hashed:
                named.append(labels)
        return named

    async def _labels(self, prefix: Sequence[str]) -> AsyncGenerator[dict[str, Labels]]:
        async for page in self._reader.subject_pages(self._subjects.items(self._full(prefix))):
            hidden = len(self._root)
            yield {subject: self._subjects.labels_of(subject)[hidden:] for subject in page}

    async def _touch(self, message: StoredMessage, item: StoredItem) -> None:
        if item.ttl_s is None:
            return
        touched = datetime.fromisoformat(message.headers[wire.ITEM_TOUCHED])
        if datetime.now(UTC) - touched >= timedelta(seconds=item.ttl_s * _UNTOUCHED_PART):
            # Somebody who puts it at this moment renews it, too.
            await self._publish(message.subject, message.payload, item.ttl_s, message.seq)

    async def _publish(
        self, subject: str, payload: bytes, ttl_s: int | None, expected: int | None = None
    ) -> None:
        headers = {wire.MESSAGE_ID: uuid4().hex}
        if ttl_s is not None:
            headers |= {wire.TTL: f"{ttl_s}s", wire.ITEM_TOUCHED: datetime.now(UTC).isoformat()}
        if expected is not None:
            headers[wire.EXPECTED_SUBJECT_SEQUENCE] = str(expected)
        lines = wire.encode_stored(headers)
        try:
            await publish_surely(self._connection, subject, payload, lines, what="storing an item")
        except StreamCapacityExceededError as error:
            raise StreamCapacityExceededError(f"items: {error.what}") from error
        except ApiError as error:
            if expected is None or error.err_code not in DECIDE_BY_READING:
                raise


def _check_page(limit: int, offset: int) -> None:
    if limit < 0 or offset < 0:
        msg = f"limit and offset must be 0 or more, got {limit} and {offset}"
        raise ValueError(msg)
