"""A LangGraph checkpointer on JetStream: no other database, shared by all workers.

A checkpoint is one message: either all of it is stored, or nothing. The newest is the one that was
stored last, whatever clocks say. A writer that was replaced stores nothing more.
"""

from collections.abc import (
    AsyncIterator,
    Mapping,
    Sequence,
)
from secrets import token_hex
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    get_serializable_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from bridge import CheckpointKey, CheckpointLog
from runs.langgraph.checkpoints import Assembly, Slots, divide
from runs.langgraph.configs import Place, run_id_of
from runs.langgraph.delta_history import DeltaHistory
from runs.langgraph.frames import (
    Slot,
    StoredCheckpoint,
    TaskWrites,
    Write,
    decode_checkpoint,
    encode_checkpoint,
    encode_writes,
)
from runs.langgraph.held_claims import HeldClaims
from runs.langgraph.pruning import Pruning
from runs.langgraph.waiting_saver import WaitingSaver


class JetStreamSaver(WaitingSaver):
    """Keeps the checkpoints of graphs in the log of a bridge.

    One saver is one writer: make one for each run where several may execute the same thread, which
    costs nothing. Reading the newest checkpoint of a thread begins a run; the first write after it
    claims the thread, and whoever wrote it before is refused with CheckpointFencedError.

    The methods without ``a`` wait, and may be called from any thread but the bridge's own.

    Args:
        checkpoints: ``bridge.checkpoints`` of a started bridge.
        serde: Turns values into bytes; ``None`` means LangGraph's own.
    """

    def __init__(
        self, checkpoints: CheckpointLog, *, serde: SerializerProtocol | None = None
    ) -> None:
        super().__init__(checkpoints.loop, serde=serde)
        self._log = checkpoints
        self._claims = HeldClaims(checkpoints)
        self._slots = Slots(checkpoints)

    async def claim(self, thread_id: str, run_id: str, attempt: int = 1) -> None:
        """Become the writer of a thread before the first write, for one attempt of a run.

        A saver is bound to one thread in this way; claiming another one ends it. An earlier attempt
        cannot take the thread back, and everything that is stored counts as this run's, so that
        ``checkpoints.roll_back(thread_id, run_id)`` undoes it.

        Raises:
            CheckpointFencedError: A later attempt has it, or the run was rolled back.
            UnavailableError: The server fell silent; call again.
        """
        await self._claims.bind(thread_id, run_id, attempt)

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """Return the checkpoint that ``config`` means, or the newest of its namespace.

        Raises:
            CheckpointDamagedError: A value of it is gone.
            UnavailableError: The server fell silent.
        """
        place = Place.of(config)
        if not place.namespace:
            self._claims.begin(place.thread_id)
        while (entry := await self._log.find(*place)) is not None:
            stored = decode_checkpoint(entry)
            self._slots.note(place._replace(checkpoint_id=entry.entry_id), stored.slots)
            for whole in await self._assembly.tuples([stored]):
                return whole
        return None

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Store a checkpoint that follows the one that ``config`` means.

        Raises:
            CheckpointTooLargeError: Above the limit; nothing was stored.
            CheckpointFencedError: Another writer has the thread; it was not stored.
            StreamCapacityExceededError: The server's storage is full; it was not stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """
        parent = Place.of(config)
        held, slots = divide(checkpoint, new_versions, await self._slots.of(parent))
        values = checkpoint["channel_values"]
        dump = self.serde.dumps_typed
        shown = get_serializable_checkpoint_metadata(config, metadata)
        payload = encode_checkpoint(
            parent.checkpoint_id,
            dump({name: each for name, each in checkpoint.items() if name != "channel_values"}),
            dump(shown),
            values={channel: (version, dump(values[channel])) for channel, version in held.items()},
            slots=slots,
        )
        claim = await self._claims.of(parent.thread_id, run_id_of(config, shown))
        key = await self._log.append(claim, parent.namespace, checkpoint["id"], payload)
        place = parent._replace(checkpoint_id=checkpoint["id"])
        own = {channel: Slot(version, key) for channel, version in held.items()}
        self._slots.note(place, {**slots, **own})
        return place.config()

    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        """Store what a task wrote, all of it or nothing; raises as :meth:`aput` does."""
        place = Place.of(config)
        if place.checkpoint_id is None or not writes:
            return
        numbered = [
            Write(WRITES_IDX_MAP.get(channel, index), channel, self.serde.dumps_typed(value))
            for index, (channel, value) in enumerate(writes)
        ]
        payload = encode_writes(TaskWrites(task_id, task_path, numbered))
        claim = await self._claims.of(place.thread_id, run_id_of(config))
        await self._log.annotate(claim, place.namespace, place.checkpoint_id, payload)

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Yield checkpoints, newest first.

        Args:
            config: The thread, and the namespace or the checkpoint if only those are meant;
                ``None`` means everything.
            filter: What the metadata must say.
            before: Only checkpoints that were stored before this one.
            limit: At most so many.

        Raises:
            CheckpointDamagedError: A value is gone.
            UnavailableError: The server fell silent.
        """
        left = limit
        async for page in self._log.pages(await self._keys(config, before)):
            if left is not None and left <= 0:
                return
            stored = [decode_checkpoint(entry) for entry in page]
            chosen = [each for each in stored if self._says(each, filter)][:left]
            for each in await self._assembly.tuples(chosen):
                yield each
            left = None if left is None else left - len(chosen)

    async def _keys(
        self, config: RunnableConfig | None, before: RunnableConfig | None
    ) -> Sequence[CheckpointKey]:
        said = {} if config is None else config["configurable"]
        thread_id, namespace = said.get("thread_id"), said.get("checkpoint_ns")
        keys = await self._log.keys(thread_id, None if thread_id is None else namespace)
        newest: dict[tuple[str, ...], CheckpointKey] = {}
        for key in keys:
            # One that was stored twice counts where it was stored last.
            newest.setdefault(key[:3], key)
        chosen = list(newest.values())
        if (checkpoint_id := said.get("checkpoint_id")) is not None:
            chosen = [key for key in chosen if self._log.is_about(key, checkpoint_id)]
        end = None if before is None else Place.of(before).checkpoint_id
        if end is None:
            return chosen
        orders = [key.order for key in newest.values() if self._log.is_about(key, end)]
        if orders:
            return [key for key in chosen if key.order < orders[0]]
        return [key for key in chosen if key.entry < end]

    def _says(self, stored: StoredCheckpoint, wanted: Mapping[str, Any] | None) -> bool:
        if not wanted:
            return True
        said = self._assembly.metadata(stored)
        return all(said.get(name) == value for name, value in wanted.items())

    async def adelete_thread(self, thread_id: str) -> None:
        """Remove everything of a thread; those who are writing it are refused from now on.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        await self._log.erase(thread_id)

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove all that runs stored, on checkpoints of other runs, too; reads all subjects.

        Values that later checkpoints refer to stay until those go.

        Raises:
            CheckpointFencedError: A writer began or ended meanwhile; call again.
            UnavailableError: The server fell silent; call again.
        """
        await self._pruning.remove_runs(run_ids)

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything of a thread into another one, which should be empty.

        Raises:
            StreamCapacityExceededError: The server's storage is full; a part is copied.
            UnavailableError: The server fell silent; a part is copied.
        """
        await self._log.copy(source_thread_id, target_thread_id)

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Remove old checkpoints of threads.

        Args:
            thread_ids: The threads.
            strategy: ``keep_latest`` spares the newest of each namespace, and what channels that
                store only their changes are rebuilt from; a run in progress is not disturbed.
                ``delete`` spares nothing, and refuses whoever is writing.

        Raises:
            ValueError: There is no such strategy; nothing was removed.
            CheckpointFencedError: A writer began or ended meanwhile; call again.
            UnavailableError: The server fell silent; call again.
        """
        if strategy not in ("keep_latest", "delete"):
            msg = f"strategy {strategy!r} is unknown; use keep_latest or delete"
            raise ValueError(msg)
        for thread_id in thread_ids:
            if strategy == "delete":
                await self._log.erase(thread_id)
            else:
                await self._pruning.keep_newest(thread_id)

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """Return what channels that store only their changes are rebuilt from.

        Raises:
            CheckpointDamagedError: A value is gone.
            UnavailableError: The server fell silent.
        """
        return await DeltaHistory(self._log, self._assembly).collect(Place.of(config), channels)

    def get_next_version(self, current: str | None, channel: None) -> str:  # noqa: ARG002
        """Return a version above ``current``; two branches of a thread never make the same one."""
        number = 0 if current is None else int(str(current).split(".", 1)[0])
        return f"{number + 1:032d}.{token_hex(8)}"

    @property
    def _assembly(self) -> Assembly:
        # Made anew, because `with_allowlist` copies the saver and changes its serializer.
        return Assembly(self._log, self.serde)

    @property
    def _pruning(self) -> Pruning:
        return Pruning(self._log, self._assembly)
