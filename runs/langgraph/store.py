"""A LangGraph store on JetStream: values that all workers share, without a vector index."""

import asyncio
from collections.abc import Iterable
from typing import Final

from langgraph.store.base import (
    BaseStore,
    GetOp,
    Item,
    ListNamespacesOp,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
)

from bridge import Items, NamespacePattern, StoredItem
from runs.errors import UnsupportedOptionError
from runs.langgraph.blocking import wait_for

#: In a minute.
_SECONDS: Final = 60


class JetStreamStore(BaseStore):
    """Keeps the items of graphs among those of a bridge.

    The last write wins. ``index`` and ``query`` are refused: nothing is searched by meaning.
    Times to live are in minutes, as LangGraph has them, and start anew when an item is read.

    The methods without ``a`` wait, and may be called from any thread but the bridge's own.

    Args:
        items: ``bridge.items`` of a started bridge.
        ttl: The time to live of items that are put without one, and whether reading renews it.
    """

    supports_ttl = True

    def __init__(self, items: Items, *, ttl: TTLConfig | None = None) -> None:
        self.ttl_config = ttl
        self._items = items

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Wait for :meth:`abatch`."""
        return wait_for(self._items.loop, self.abatch(ops), "batch")

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do many operations: first those that read, all at one time, then those that write.

        Of several writes to one item the last one counts.

        Returns:
            What each of them found, in their order.

        Raises:
            UnsupportedOptionError: One asks for an index or a search by meaning; nothing was done.
            InvalidFilterError: A filter has unknown operators; nothing was stored.
            InvalidContentError: A value is not JSON; other items may be stored.
            ItemTooLargeError: A value is above the limit; other items may be stored.
            UnavailableError: The server fell silent; items may be stored.
        """
        todo = list(ops)
        for op in todo:
            _check(op)
        slots = asyncio.Semaphore(self._items.settings.max_concurrent_calls)

        async def do(op: Op) -> Result:
            async with slots:
                return await self._do(op)

        reads = {at: op for at, op in enumerate(todo) if not isinstance(op, PutOp)}
        found = dict(zip(reads, await asyncio.gather(*map(do, reads.values())), strict=True))
        writes = {(op.namespace, op.key): op for op in todo if isinstance(op, PutOp)}
        await asyncio.gather(*map(do, writes.values()))
        return [found.get(at) for at in range(len(todo))]

    async def _do(self, op: Op) -> Result:
        match op:
            case GetOp():
                found = await self._items.find(op.namespace, op.key, refresh=op.refresh_ttl)
                return None if found is None else _item(found)
            case SearchOp():
                chosen = await self._items.search(
                    op.namespace_prefix,
                    wanted=op.filter,
                    limit=op.limit,
                    offset=op.offset,
                    refresh=op.refresh_ttl,
                )
                return [_search_item(each) for each in chosen]
            case ListNamespacesOp():
                return await self._namespaces(op)
            case PutOp():
                await self._write(op)
        return None

    async def _write(self, op: PutOp) -> None:
        if op.value is None:
            await self._items.delete(op.namespace, op.key)
        else:
            ttl_s = None if op.ttl is None else op.ttl * _SECONDS
            await self._items.put(op.namespace, op.key, op.value, ttl_s=ttl_s)

    async def _namespaces(self, op: ListNamespacesOp) -> list[tuple[str, ...]]:
        patterns = [
            NamespacePattern(tuple(each.path), each.match_type)
            for each in op.match_conditions or ()
        ]
        return await self._items.namespaces(
            patterns, max_depth=op.max_depth, limit=op.limit, offset=op.offset
        )


def _check(op: Op) -> None:
    if isinstance(op, PutOp) and op.index:
        raise UnsupportedOptionError("index")
    if isinstance(op, SearchOp) and op.query:
        raise UnsupportedOptionError("query")


def _item(found: StoredItem) -> Item:
    return Item(
        value=found.value,
        key=found.key,
        namespace=found.namespace,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )


def _search_item(found: StoredItem) -> SearchItem:
    return SearchItem(
        namespace=found.namespace,
        key=found.key,
        value=found.value,
        created_at=found.created_at,
        updated_at=found.updated_at,
    )
