"""Values that all workers share, through LangGraph's store."""

import asyncio
from datetime import UTC, datetime
from typing import TypedDict

import pytest
from langgraph.graph import START, StateGraph
from langgraph.runtime import Runtime
from langgraph.store.base import GetOp, PutOp, SearchOp
from langgraph.store.memory import InMemoryStore

from bridge import (
    InvalidContentError,
    InvalidFilterError,
    ItemSettings,
    ItemTooLargeError,
    NamespacePattern,
    StreamCapacityExceededError,
)
from runs import BlockingCallError, UnsupportedOptionError
from runs.langgraph import JetStreamStore


@pytest.fixture
def store(bridge):
    return JetStreamStore(bridge.items)


def told(items):
    return [(item.namespace, item.key, item.value) for item in items]


async def test_an_item_is_found_by_every_worker_and_the_last_write_wins(connect, store):
    other = JetStreamStore((await connect()).items)
    before = datetime.now(UTC)
    await store.aput(("users", "1"), "likes", {"food": "soup"})
    first = await other.aget(("users", "1"), "likes")
    await other.aput(("users", "1"), "likes", {"food": "bread"})
    found = await store.aget(("users", "1"), "likes")
    assert (found.namespace, found.key, found.value) == (
        ("users", "1"),
        "likes",
        {"food": "bread"},
    )
    assert before <= first.created_at == found.created_at < found.updated_at
    await store.adelete(("users", "1"), "likes")
    await store.adelete(("users", "1"), "likes")
    assert await other.aget(("users", "1"), "likes") is None
    assert await other.asearch(("users",)) == []


ODD = ["a b", "*", ">", "ü", "x" * 500, "~", "$", "a/b", " ", "nul-free\n"]


@pytest.mark.parametrize("text", ODD)
async def test_labels_and_keys_may_be_any_text(store, text):
    await store.aput(("top", text), text, {"text": text})
    await store.aput(("top", text + "!"), text, {"text": "another"})
    assert (await store.aget(("top", text), text)).value == {"text": text}
    assert told(await store.asearch(("top", text))) == [(("top", text), text, {"text": text})]
    assert set(await store.alist_namespaces()) == {("top", text), ("top", text + "!")}


async def test_keys_with_dots_and_namespaces_do_not_mix(bridge):
    items = bridge.items
    await items.put(("a", "b"), "c", {"n": 1})
    await items.put(("a",), "b.c", {"n": 2})
    await items.put(("a.b",), "c", {"n": 3})
    await items.put((), "a", {"n": 4})
    found = [
        await items.find(*place)
        for place in ((("a", "b"), "c"), (("a",), "b.c"), (("a.b",), "c"), ((), "a"))
    ]
    assert [each.value["n"] for each in found] == [1, 2, 3, 4]
    assert [each.value["n"] for each in await items.search(("a",))] == [1, 2]
    assert len(await items.search(())) == 4


async def fill(store, count=150):
    await store.abatch(
        [
            PutOp(("docs", f"d{n % 3}"), f"k{n:03d}", {"n": n, "even": n % 2 == 0, "in": {"n": n}})
            for n in range(count)
        ]
    )


FILTERS = [
    {"even": True},
    {"n": {"$gt": 10, "$lte": 20}},
    {"n": {"$ne": 3}},
    {"in": {"n": 7}},
    {"n": {"$eq": 7}},
    {"n": {"$gte": 149}, "even": False},
    {"absent": "x"},
    {"absent": None},
]


@pytest.mark.parametrize("wanted", FILTERS)
async def test_a_filter_finds_what_the_store_in_memory_finds(store, wanted):
    memory = InMemoryStore()
    for each in (store, memory):
        await fill(each)
    ours = told(await store.asearch(("docs",), filter=wanted, limit=1000))
    theirs = told(await memory.asearch(("docs",), filter=wanted, limit=1000))
    assert sorted(ours, key=str) == sorted(theirs, key=str)


@pytest.mark.parametrize("wanted", [None, {"even": True}])
async def test_pages_are_disjoint_and_complete_although_items_change_meanwhile(store, wanted):
    await fill(store)
    everything = told(await store.asearch(("docs",), filter=wanted, limit=1000))
    seen = []
    for offset in range(0, 200, 20):
        page = told(await store.asearch(("docs",), filter=wanted, limit=20, offset=offset))
        for namespace, key, value in page:
            await store.aput(namespace, key, value)
        seen += page
    assert seen == everything
    assert len(seen) == (150 if wanted is None else 75)
    assert await store.asearch(("docs",), limit=0) == []


async def test_values_of_another_kind_do_not_match_a_comparison(store):
    for key, value in (("a", 5), ("b", "5"), ("c", None), ("d", {"x": 1})):
        await store.aput(("n",), key, {"v": value})
    assert [each.key for each in await store.asearch(("n",), filter={"v": {"$gt": 1}})] == ["a"]


@pytest.mark.parametrize("wanted", [{"n": {"$near": 1}}, {"$or": []}])
async def test_an_unknown_operator_is_refused(store, wanted):
    with pytest.raises(InvalidFilterError, match=r"\$near|\$or"):
        await store.asearch(("docs",), filter=wanted)


async def test_namespaces_are_listed_as_the_store_in_memory_lists_them(store):
    memory = InMemoryStore()
    namespaces = [("a", "b", "c"), ("a", "b", "d", "e"), ("a", "b", "d", "i"), ("a", "b"), ("z",)]
    for each in (store, memory):
        for namespace in namespaces:
            await each.aput(namespace, "k", {})
            await each.aput(namespace, "k2", {})
    for asked in (
        {},
        {"prefix": ("a", "b")},
        {"prefix": ("a", "b"), "max_depth": 3},
        {"prefix": ("a", "*", "d")},
        {"suffix": ("d", "*")},
        {"prefix": ("a",), "suffix": ("c",)},
        {"limit": 2},
        {"limit": 2, "offset": 2},
        {"max_depth": 1},
    ):
        ours = await store.alist_namespaces(**asked)
        theirs = await memory.alist_namespaces(**asked)
        if "limit" in asked:
            assert len(ours) == len(theirs)
        else:
            assert sorted(ours) == sorted(theirs), asked
    pages = [await store.alist_namespaces(limit=2, offset=offset) for offset in (0, 2, 4)]
    assert sum(pages, []) == await store.alist_namespaces()  # noqa: RUF017 - three short lists


async def test_a_hashed_label_is_listed_by_its_text(bridge):
    await bridge.items.put(("users", "ann@example.org", "deep"), "k", {})
    pattern = NamespacePattern(("users", "ann@example.org"))
    assert await bridge.items.namespaces([pattern], max_depth=2) == [("users", "ann@example.org")]


async def test_an_item_leaves_after_its_time_unless_it_is_read(store, eventually):
    minute_s = 60
    for key in ("unread", "read", "searched", "looked at"):
        await store.aput(("ttl",), key, {"key": key}, ttl=2 / minute_s)
    await store.aput(("ttl",), "for good", {})

    async def only_used_ones_are_left():
        await store.aget(("ttl",), "read")
        await store.aget(("ttl",), "looked at", refresh_ttl=False)
        await store.asearch(("ttl",), filter={"key": "searched"})
        keys = {each.key for each in await store.asearch(("ttl",), refresh_ttl=False)}
        return keys == {"read", "searched", "for good"}

    await eventually(only_used_ones_are_left, within_s=10)
    await asyncio.gather(*(store.aget(("ttl",), "read") for _ in range(20)))


async def test_the_default_time_to_live_and_refresh_are_configured(bridge, eventually):
    store = JetStreamStore(bridge.items, ttl={"default_ttl": 1 / 60, "refresh_on_read": False})
    await store.aput(("a",), "k", {})
    await store.aput(("a",), "stays", {}, ttl=None)

    async def is_gone():
        return await store.aget(("a",), "k") is None

    await eventually(is_gone, within_s=8)
    assert await store.aget(("a",), "stays") is not None


async def test_renewing_an_item_never_undoes_a_newer_write(bridge):
    items = bridge.items
    await items.put(("a",), "k", {"n": 1}, ttl_s=30)
    message = await items._reader.find_last(items._subjects.item(("a",), "k"))
    await items.put(("a",), "k", {"n": 2}, ttl_s=30)
    await items._publish(message.subject, message.payload, 30, message.seq)
    assert (await items.find(("a",), "k")).value == {"n": 2}


async def test_what_cannot_be_kept_is_refused_and_nothing_is_stored(connect):
    bridge = await connect(items=ItemSettings(max_bytes=2000))
    store = JetStreamStore(bridge.items)
    with pytest.raises(ItemTooLargeError, match="JETRUN_ITEMS__MAX_BYTES"):
        await store.aput(("a",), "k", {"big": "x" * 2000})
    with pytest.raises(InvalidContentError):
        await store.aput(("a",), "k", {"when": datetime.now(UTC)})
    with pytest.raises(InvalidContentError):
        await store.aput(("a",), "k", {"nan": float("nan")})
    with pytest.raises(UnsupportedOptionError, match="index"):
        await store.aput(("a",), "k", {"text": "t"}, index=["text"])
    with pytest.raises(UnsupportedOptionError, match="query"):
        await store.asearch(("a",), query="something like it")
    with pytest.raises(ValueError, match="0 or more"):
        await store.asearch(("a",), limit=-1)
    await store.aput(("a",), "k", {"fine": True}, index=False)
    assert told(await store.asearch(())) == [(("a",), "k", {"fine": True})]


async def test_a_full_stream_refuses_items_and_room_comes_back(connect):
    bridge = await connect(items=ItemSettings(max_total_bytes=1 << 20))
    for number in range(11):
        await bridge.items.put(("a",), str(number), {"big": "x" * 90_000})
    with pytest.raises(StreamCapacityExceededError):
        await bridge.items.put(("a",), "new", {"big": "x" * 90_000})
    assert len(await bridge.items.search(("a",), limit=100)) == 11
    await bridge.items.delete(("a",), "0")
    await bridge.items.put(("a",), "new", {"big": "x" * 80_000})
    assert (await bridge.items.find(("a",), "new")).value == {"big": "x" * 80_000}


async def test_a_batch_reads_before_it_writes_and_answers_in_order(store):
    await store.aput(("a",), "k", {"n": 1})
    found = await store.abatch(
        [
            PutOp(("a",), "k", {"n": 2}),
            GetOp(("a",), "k"),
            PutOp(("a",), "k", {"n": 3}),
            SearchOp(("a",)),
            GetOp(("a",), "absent"),
        ]
    )
    assert [found[0], found[2], found[4]] == [None, None, None]
    assert (found[1].value, told(found[3])) == ({"n": 1}, [(("a",), "k", {"n": 1})])
    assert (await store.aget(("a",), "k")).value == {"n": 3}


async def test_sync_methods_wait_in_threads_and_are_refused_on_the_loop(store):
    def work():
        store.put(("a",), "k", {"n": 1})
        assert store.get(("a",), "k").value == {"n": 1}
        assert [each.key for each in store.search(("a",))] == ["k"]
        assert store.list_namespaces() == [("a",)]
        store.delete(("a",), "k")

    await asyncio.to_thread(work)
    with pytest.raises(BlockingCallError, match="abatch"):
        store.get(("a",), "k")


async def test_nodes_of_graphs_use_it(store):
    class State(TypedDict):
        n: int

    async def count(_: State, runtime: Runtime):
        found = await runtime.store.aget(("counts",), "n")
        number = 1 if found is None else found.value["n"] + 1
        await runtime.store.aput(("counts",), "n", {"n": number})
        return {"n": number}

    graph = StateGraph(State).add_node("count", count).add_edge(START, "count")
    compiled = graph.compile(store=store)
    assert [(await compiled.ainvoke({"n": 0}))["n"] for _ in range(3)] == [1, 2, 3]


async def test_calls_outlast_a_server_that_is_away(server, store):
    await store.aput(("a",), "k", {"n": 1})
    await server.kill()
    putting = asyncio.create_task(store.aput(("a",), "k", {"n": 2}))
    searching = asyncio.create_task(store.asearch(("a",)))
    await server.restart()
    await putting
    assert len(await searching) == 1
    assert (await store.aget(("a",), "k")).value == {"n": 2}
