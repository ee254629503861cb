"""Where the graphs of a worker keep their checkpoints and their long-term memory."""

import inspect
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from typing import Any, NamedTuple

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.store.base import BaseStore, TTLConfig
from langgraph.store.memory import InMemoryStore

from bridge import JetStreamBridge, RunBridge
from runs.errors import AssistantLoadError
from runs.langgraph import JetStreamSaver, JetStreamStore
from runs.loader import load_attribute
from runs.models import RunRecord
from runs.settings import GraphSettings


class Equipment(NamedTuple):
    """What a graph is given for one use; the fields are named as a graph names them."""

    checkpointer: BaseCheckpointSaver[Any]
    store: BaseStore


class Persistence:
    """Makes what graphs are given.

    Args:
        new_checkpointer: Returns a checkpointer for one writer.
        store_of: Returns the long-term memory of one user; None: that of all.
    """

    def __init__(
        self,
        new_checkpointer: Callable[[], BaseCheckpointSaver[Any]],
        store_of: Callable[[str | None], BaseStore],
    ) -> None:
        self._new_checkpointer = new_checkpointer
        self._store_of = store_of

    async def for_run(self, run: RunRecord, attempt: int) -> Equipment:
        """Return what one attempt of a run is given; earlier attempts store nothing from now on.

        Raises:
            CheckpointFencedError: A later attempt has begun.
            UnavailableError: The server fell silent.
        """
        saver = self._new_checkpointer()
        if isinstance(saver, JetStreamSaver):
            await saver.claim(run.thread_id, run.run_id, attempt)
        return Equipment(saver, self._store_of(run.user_id))

    def for_question(self, user_id: str | None) -> Equipment:
        """Return what a graph is given that executes nothing."""
        return Equipment(self._new_checkpointer(), self._store_of(user_id))


@asynccontextmanager
async def opened_persistence(
    settings: GraphSettings, bridge: RunBridge
) -> AsyncGenerator[Persistence]:
    """Open checkpointer and store for the length of a context.

    Args:
        settings: Names another checkpointer than the one on the log's server, if any.
        bridge: A started bridge; without a server checkpoints and items stay in memory.

    Raises:
        AssistantLoadError: The declared checkpointer cannot be loaded.
    """
    store_of = _stores(settings, bridge)
    if settings.checkpointer is not None:
        async with _declared(settings.checkpointer) as saver:
            yield Persistence(lambda: saver, store_of)
        return
    serde = _serializer_of(settings)
    if isinstance(bridge, JetStreamBridge):
        log = bridge.checkpoints
        yield Persistence(lambda: JetStreamSaver(log, serde=serde), store_of)
    else:
        kept = InMemorySaver(serde=serde)
        yield Persistence(lambda: kept, store_of)


def _stores(settings: GraphSettings, bridge: RunBridge) -> Callable[[str | None], BaseStore]:
    if not isinstance(bridge, JetStreamBridge):
        kept: defaultdict[str | None, InMemoryStore] = defaultdict(InMemoryStore)
        return kept.__getitem__
    ttl = None
    if settings.store_ttl_s is not None:
        refresh = settings.store_ttl_refreshes
        ttl = TTLConfig(default_ttl=settings.store_ttl_s / 60, refresh_on_read=refresh)
    items = bridge.items
    return lambda user_id: JetStreamStore(items.of(user_id), ttl=ttl)


def _serializer_of(settings: GraphSettings) -> JsonPlusSerializer:
    allowed: dict[str, Any] = {}
    if settings.allowed_msgpack_modules is not None:
        allowed["allowed_msgpack_modules"] = settings.allowed_msgpack_modules
    return JsonPlusSerializer(
        pickle_fallback=settings.pickle_fallback,
        allowed_json_modules=settings.allowed_json_modules,
        **allowed,
    )


@asynccontextmanager
async def _declared(target: str) -> AsyncGenerator[BaseCheckpointSaver[Any]]:
    made = load_attribute(target)
    if callable(made) and not isinstance(made, BaseCheckpointSaver):
        made = made()
    if inspect.isawaitable(made):
        made = await made
    # A checkpointer may be a context manager of its own; it is entered by whoever made it.
    if isinstance(made, BaseCheckpointSaver):
        yield made
    elif isinstance(made, AbstractAsyncContextManager):
        async with made as entered:
            yield _checked(target, entered)
    elif isinstance(made, AbstractContextManager):
        with made as entered:
            yield _checked(target, entered)
    else:
        yield _checked(target, made)


def _checked(target: str, made: object) -> BaseCheckpointSaver[Any]:
    if not isinstance(made, BaseCheckpointSaver):
        raise AssistantLoadError(target, f"is no checkpointer but {type(made).__name__}")
    return made
