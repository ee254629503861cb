"""The routes of the store: items that users, their graphs and all gateways share.

Who asks has items of its own, the same that graphs find in the runs of that user.
"""

from typing import Any, Final

from aiohttp import web

from api.answers import done, json_answer
from api.identity import user_of
from api.item_schemas import ItemPlace, ItemPut, ItemQuery, ItemSearch, NamespaceList
from api.request_bodies import read_body, read_query
from bridge import Items, JetStreamBridge, StoredItem
from runs import GraphSettings

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

    async def put(self, request: web.Request) -> web.Response:
        """``PUT /store/items``: the last write wins."""
        body = await read_body(request, ItemPut)
        if body.index is not False:
            body.refuse("index")
        ttl_s = self._settings.store_ttl_s if body.ttl is None else body.ttl * _SECONDS
        await self._items(request).put(body.namespace, body.key, body.value, ttl_s=ttl_s)
        return done()

    async def get(self, request: web.Request) -> web.Response:
        """``GET /store/items``: the item, or null."""
        query = read_query(request, ItemQuery)
        refresh = self._refreshes(query)
        found = await self._items(request).find(query.namespace, query.key, refresh=refresh)
        return json_answer(None if found is None else _shown(found))

    async def delete(self, request: web.Request) -> web.Response:
        """``DELETE /store/items``, whether there is one or not."""
        place = await read_body(request, ItemPlace)
        await self._items(request).delete(place.namespace, place.key)
        return done()

    async def search(self, request: web.Request) -> web.Response:
        """``POST /store/items/search``, by the beginning of the namespace and by fields."""
        wanted = await read_body(request, ItemSearch)
        wanted.refuse("query")
        found = await self._items(request).search(
            wanted.namespace_prefix,
            wanted=wanted.filter,
            limit=wanted.limit,
            offset=wanted.offset,
            refresh=self._refreshes(wanted),
        )
        return json_answer({"items": [_shown(item) for item in found]})

    async def namespaces(self, request: web.Request) -> web.Response:
        """``POST /store/namespaces``: those that hold items."""
        wanted = await read_body(request, NamespaceList)
        found = await self._items(request).namespaces(
            wanted.patterns(),
            max_depth=wanted.max_depth,
            limit=wanted.limit,
            offset=wanted.offset,
        )
        return json_answer({"namespaces": found})

    def _items(self, request: web.Request) -> Items:
        return self._bridge.items.of(user_of(request))

    def _refreshes(self, asked: ItemQuery | ItemSearch) -> bool:
        if asked.refresh_ttl is None:
            return self._settings.store_ttl_refreshes
        return asked.refresh_ttl


def _shown(item: StoredItem) -> dict[str, Any]:
    return {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at.isoformat(),
        "updated_at": item.updated_at.isoformat(),
    }
