"""The store over HTTP, through the unmodified SDK: the same items that graphs find in a worker."""

import pytest
from langgraph_sdk.errors import UnprocessableEntityError
from named_users import authenticate, opened_clients

from runs import GraphSettings
from runs.graphs.persistence import opened_persistence


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(authenticate)


@pytest.fixture
async def connect(gateway):
    """Open clients: ``await connect("her")``; they close with the test."""
    async with opened_clients(gateway.url) as connect:
        yield connect


def told(found):
    return [(item["namespace"], item["key"], item["value"]) for item in found["items"]]


async def test_items_are_put_found_searched_and_deleted(connect):
    store = (await connect()).store
    await store.put_item(["docs", "a"], "1", {"kind": "note", "n": 1})
    await store.put_item(["docs", "a"], "1", {"kind": "note", "n": 2}, index=False)
    await store.put_item(["docs", "b"], "2", {"kind": "page", "n": 3})
    item = await store.get_item(["docs", "a"], "1")
    assert (item["namespace"], item["key"]) == (["docs", "a"], "1")
    assert item["value"] == {"kind": "note", "n": 2}
    assert item["created_at"] < item["updated_at"]
    both = [
        (["docs", "a"], "1", {"kind": "note", "n": 2}),
        (["docs", "b"], "2", {"kind": "page", "n": 3}),
    ]
    assert told(await store.search_items(["docs"])) == both
    assert told(await store.search_items(["docs"], filter={"n": {"$gt": 2}})) == both[1:]
    assert told(await store.search_items([], limit=1, offset=1)) == both[1:]
    assert (await store.list_namespaces())["namespaces"] == [["docs", "a"], ["docs", "b"]]
    assert (await store.list_namespaces(suffix=["b"]))["namespaces"] == [["docs", "b"]]
    assert (await store.list_namespaces(prefix=["*"], max_depth=1))["namespaces"] == [["docs"]]
    await store.delete_item(["docs", "a"], "1")
    await store.delete_item(["docs", "a"], "1")
    assert await store.get_item(["docs", "a"], "1") is None
    assert told(await store.search_items([])) == both[1:]


async def test_what_nothing_honours_is_refused(connect, http):
    store = (await connect()).store
    with pytest.raises(UnprocessableEntityError, match="query"):
        await store.search_items(["docs"], query="about what?")
    with pytest.raises(UnprocessableEntityError, match="index"):
        await store.put_item(["docs"], "1", {}, index=["text"])
    with pytest.raises(UnprocessableEntityError, match="near"):
        await store.search_items([], filter={"n": {"$near": 1}})
    for body in (
        {"namespace": ["a.b"], "key": "1", "value": {}},
        {"namespace": [], "key": "1", "value": {}},
        {"namespace": ["a"], "key": "1", "value": 1},
        {"namespace": ["a"], "key": "1", "value": {}, "ttl": 0},
    ):
        async with http.put("/store/items", json=body) as answer:
            assert answer.status == 422, body


async def test_everybody_has_items_of_their_own_also_in_their_graphs(connect, gateway):
    hers, his, operators = [(await connect(user)).store for user in ("her", "him", None)]
    await hers.put_item(["likes"], "food", {"is": "soup"})
    await his.put_item(["likes"], "food", {"is": "bread"})
    await operators.put_item(["likes"], "food", {"is": "salt"})
    for store, user, food in ((hers, "her", "soup"), (his, "him", "bread")):
        assert told(await store.search_items([])) == [(["likes"], "food", {"is": food})]
        assert (await store.list_namespaces())["namespaces"] == [["likes"]]
        assert (await store.list_namespaces(suffix=[user, "likes"]))["namespaces"] == []
        async with opened_persistence(GraphSettings(), gateway.bridge) as persistence:
            graphs = persistence.for_question(user).store
            assert (await graphs.aget(("likes",), "food")).value == {"is": food}
            await graphs.aput(("learnt",), "by", {"user": user})
        assert (await store.get_item(["learnt"], "by"))["value"] == {"user": user}
    await hers.delete_item(["likes"], "food")
    assert (await his.get_item(["likes"], "food"))["value"] == {"is": "bread"}
    assert (await operators.get_item(["likes"], "food"))["value"] == {"is": "salt"}
    assert len((await operators.search_items([]))["items"]) == 4
