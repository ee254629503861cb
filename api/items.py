"""The routes of the store: items that users, their graphs and all gateways share.

Who asks has items of its own, the same that graphs find in the runs of that user.
"""

from typing import Final

from aiohttp import web

from api.answer_schemas import ItemsFound, ItemShown, NamespacesFound
from api.answers import done, json_answer
from api.identity import user_of
from api.item_schemas import ItemPlace, ItemPut, ItemQuery, ItemSearch, NamespaceList
from api.operations import DONE, Answer, operation
from bridge import (
    InvalidFilterError,
    Items,
    ItemTooLargeError,
    JetStreamBridge,
    StoredItem,
    StreamCapacityExceededError,
)
from runs import GraphSettings, UnsupportedOptionError

_ITEMS: Final = "/store/items"
#: In a minute.
_SECONDS: Final = 60


class ItemRoutes:
    """Keeps, finds and searches items.

    Args:
        bridge: Has them.
        settings: The time to live of items that are put without one, as graphs have it.
    """

    def __init__(self, bridge: JetStreamBridge, settings: GraphSettings) -> None:
        self._bridge = bridge
        self._settings = settings

    def routes(self) -> list[web.RouteDef]:
        """Return what the application serves of items."""
        return [
            web.put(_ITEMS, self.put),
            web.get(_ITEMS, self.get),
            web.delete(_ITEMS, self.delete),
            web.post(f"{_ITEMS}/search", self.search),
            web.post("/store/namespaces", self.namespaces),
        ]

    @operation(
        DONE, raises=(ItemTooLargeError, StreamCapacityExceededError, UnsupportedOptionError)
    )
    async def put(self, request: web.Request, body: ItemPut) -> web.Response:
        """``PUT /store/items``: keep an item; the last write wins."""
        if body.index is not False:
            body.refuse("index")
        ttl_s = self._settings.store_ttl_s if body.ttl is None else body.ttl * _SECONDS
        await self._items(request).put(body.namespace, body.key, body.value, ttl_s=ttl_s)
        return done()

    @operation(Answer(ItemShown | None))
    async def get(self, request: web.Request, query: ItemQuery) -> web.Response:
        """``GET /store/items``: the item, or null."""
        refresh = self._refreshes(query)
        found = await self._items(request).find(query.namespace, query.key, refresh=refresh)
        return json_answer(None if found is None else _shown(found))

    @operation(DONE)
    async def delete(self, request: web.Request, body: ItemPlace) -> web.Response:
        """``DELETE /store/items``: remove an item, whether there is one or not."""
        await self._items(request).delete(body.namespace, body.key)
        return done()

    @operation(Answer(ItemsFound), raises=(InvalidFilterError, UnsupportedOptionError))
    async def search(self, request: web.Request, body: ItemSearch) -> web.Response:
        """``POST /store/items/search``: find items by namespace and fields."""
        body.refuse("query")
        found = await self._items(request).search(
            body.namespace_prefix,
            wanted=body.filter,
            limit=body.limit,
            offset=body.offset,
            refresh=self._refreshes(body),
        )
        return json_answer({"items": [_shown(item) for item in found]})

    @operation(Answer(NamespacesFound))
    async def namespaces(self, request: web.Request, body: NamespaceList) -> web.Response:
        """``POST /store/namespaces``: which namespaces hold items."""
        found = await self._items(request).namespaces(
            body.patterns(),
            max_depth=body.max_depth,
            limit=body.limit,
            offset=body.offset,
        )
        return json_answer({"namespaces": found})

    def _items(self, request: web.Request) -> Items:
        return self._bridge.items.of(user_of(request))

    def _refreshes(self, asked: ItemQuery | ItemSearch) -> bool:
        if asked.refresh_ttl is None:
            return self._settings.store_ttl_refreshes
        return asked.refresh_ttl


def _shown(item: StoredItem) -> ItemShown:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at.isoformat(),
        "updated_at": item.updated_at.isoformat(),
    }
