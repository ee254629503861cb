"""The memory bridge and the JetStream bridge, driven side by side: what one says, the other says.

Two bridges on each log, as two processes would be. Whatever is called, both logs give the same
ids, the same events, the same gaps and the same errors.
"""

import asyncio
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from reading import PATIENCE_S

from bridge import (
    CANCELLED,
    END,
    HEARTBEAT,
    BridgeError,
    BridgeSettings,
    EmbeddedServer,
    JetStreamBridge,
    MemorySettings,
    MemoryStreamBridge,
    NatsSettings,
    ResumeStatus,
    StreamEvent,
    StreamGap,
    StreamNotFoundError,
    Terminal,
    new_event,
)

RUNS = st.sampled_from(["run-a", "run-b", "run-c", "run-d"])
# The durable log knows an attempt, and what was stored under a caller's own id, by the event only.
# It cannot answer for trimmed ones as memory can, so these runs are never trimmed.
RUNS_LEFT_COMPLETE = st.just("run-a")
RUNS_THAT_ARE_TRIMMED = st.sampled_from(["run-b", "run-c"])
RUNS_THAT_ARE_CLEANED_UP = st.sampled_from(["run-c", "run-d"])
WHO = st.sampled_from([0, 1])
DATA = st.recursive(
    st.none() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
NOT_SHIFTED = st.just((0, 0))
# Where a cursor comes from: the same run or another one, which of its ids, how it is forged, or
# what is sent instead of an id.
CURSORS = st.lists(
    st.tuples(
        st.just(None) | st.just(None) | RUNS,
        st.integers(0, 2000),
        NOT_SHIFTED | NOT_SHIFTED | st.tuples(st.integers(-3, 3), st.integers(-3, 3)),
        st.sampled_from([None, None, None, None, "", "-1", "0-0", "x", "1-", "1-1\n"]),
    ),
    max_size=3,
)
MAX_READERS = 4


def plain(outcome):
    """What both bridges must have in common of a result."""
    if isinstance(outcome, StreamEvent):
        return outcome.id, outcome.event, outcome.payload, outcome.category, outcome.metadata
    if isinstance(outcome, list):
        return [plain(item) for item in outcome]
    return outcome


class Reader:
    """One reader, on one of the logs."""

    def __init__(self, bridge, run_id, cursor):
        self.run_id = run_id
        self._manager = bridge.follow(run_id, last_event_id=cursor, heartbeat_interval=60)
        self._position = 0
        self.is_over = False

    async def open(self):
        following = await self._manager.__aenter__()
        self._batches = following.batches()
        if following.resume.status is ResumeStatus.RESUMED:
            self._position = following.resume.position.run_seq
        return following.resume

    async def read(self, info):
        """Read up to the newest event, and the end if there is one; ``None``: the run is gone."""
        items = []
        while not self.is_over and (
            info is None or self._position < info.event_count or info.terminal is not None
        ):
            for item in await anext(self._batches):
                if isinstance(item, StreamEvent):
                    self._position = item.run_seq
                self.is_over |= item in (END, CANCELLED)
                items += [item] if item is not HEARTBEAT else []
        return items

    async def leave(self):
        await self._batches.aclose()
        await self._manager.__aexit__(None, None, None)


class TwoLogs(RuleBasedStateMachine):
    """Every rule does one thing to both logs and compares what they say."""

    def __init__(self):
        super().__init__()
        self.runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.stack = AsyncExitStack()
        self.directory = tempfile.TemporaryDirectory()
        self.readers = []
        self.ids = {}

    @initialize()
    def open_bridges(self):
        self.run(self._open_bridges())
        for run_id in ("run-a", "run-b"):
            self.create(0, run_id, "thread-1")
            self.publish_many(0, run_id, 20, [])

    async def _open_bridges(self):
        server = await self.stack.enter_async_context(EmbeddedServer(Path(self.directory.name)))
        nats = NatsSettings(url=server.url, user=server.user, password=server.password)
        log = MemoryStreamBridge(MemorySettings(max_events_per_run=100_000))
        self.pairs = [
            (
                await self.stack.enter_async_context(log.peer()),
                await self.stack.enter_async_context(JetStreamBridge(BridgeSettings(nats=nats))),
            )
            for _ in range(2)
        ]

    def run(self, coroutine):
        return self.runner.run(self._in_time(coroutine))

    async def _in_time(self, coroutine):
        async with asyncio.timeout(PATIENCE_S):
            return await coroutine

    def both(self, who, call):
        """Do ``call`` on both logs; return the common result, or ``None`` after an error."""
        outcomes = []
        for bridge in self.pairs[who]:
            try:
                outcomes.append(plain(self.run(call(bridge))))
            except (BridgeError, ValueError) as error:
                outcomes.append(type(error))
        memory, jetstream = outcomes
        assert memory == jetstream
        return None if isinstance(memory, type) else memory

    def remember(self, run_id, *ids):
        self.ids.setdefault(run_id, []).extend(event_id for event_id in ids if event_id)

    @rule(who=WHO, run_id=RUNS, thread_id=st.sampled_from(["thread-1", "thread-2"]))
    def create(self, who, run_id, thread_id):
        if self.ids.get(run_id) is None:
            birth = self.both(who, lambda b: b.create(run_id, thread_id=thread_id))
            self.remember(run_id, birth)
        else:
            # The birth may have been trimmed: its id is then no longer known everywhere.
            async def create(bridge):
                await bridge.create(run_id, thread_id=thread_id)

            self.both(who, create)

    @rule(
        who=WHO,
        run_id=RUNS,
        data=DATA,
        metadata=st.none() | st.dictionaries(st.text("k\u00e9", max_size=2), st.integers()),
    )
    def publish(self, who, run_id, data, metadata):
        published = self.both(who, lambda b: b.publish(run_id, "note", data, metadata=metadata))
        self.remember(run_id, published)

    @rule(who=WHO, run_id=RUNS_LEFT_COMPLETE, event_id=st.sampled_from(["x", "y"]))
    def publish_once(self, who, run_id, event_id):
        published = self.both(who, lambda b: b.publish(run_id, "note", 1, event_id=event_id))
        self.remember(run_id, published)

    @rule(
        who=WHO,
        run_id=RUNS,
        count=st.sampled_from([1, 2, 5, 19, 20, 40, 1000, 1001]),
        cursors=CURSORS,
    )
    def publish_many(self, who, run_id, count, cursors):
        events = [new_event("note", n) for n in range(count)]
        published = self.both(who, lambda b: b.publish_many(run_id, events))
        self.remember(run_id, *published or [])
        self.join(1 - who, run_id, cursors)

    @rule(
        who=WHO,
        run_id=RUNS,
        event=st.sampled_from(["end", "gap", "metadata", "", "a\n", "note"]),
        data=st.sampled_from([float("nan"), {1}, "\ud800"]),
    )
    def publish_what_cannot_be_stored(self, who, run_id, event, data):
        assert self.both(who, lambda b: b.publish(run_id, event, data)) is None

    @rule(who=WHO, run_id=RUNS_LEFT_COMPLETE, attempt=st.integers(0, 4))
    def begin_attempt(self, who, run_id, attempt):
        begun = self.both(who, lambda b: b.begin_attempt(run_id, attempt))
        self.remember(run_id, begun)

    @rule(who=WHO, run_id=RUNS, kind=st.sampled_from([*Terminal, "end", "ended"]), cursors=CURSORS)
    def end(self, who, run_id, kind, cursors):
        terminal = self.both(who, lambda b: b.publish_terminal(run_id, kind, {}))
        self.remember(run_id, terminal)
        self.join(1 - who, run_id, cursors)

    @rule(who=WHO, run_id=RUNS_THAT_ARE_TRIMMED, keep=st.integers(0, 12), cursors=CURSORS)
    def trim(self, who, run_id, keep, cursors):
        # What a reader has buffered already it need not read again: only those who have read
        # everything must agree on what they miss.
        self.catch_up()
        self.both(who, lambda b: b.trim(run_id, keep=keep))
        self.join(1 - who, run_id, cursors)

    @rule(who=WHO, run_id=RUNS_THAT_ARE_CLEANED_UP, cursors=CURSORS)
    def cleanup(self, who, run_id, cursors):
        # As for trimming: what a reader has buffered already it gets, and so may miss less.
        self.catch_up()
        self.both(who, lambda b: b.cleanup(run_id))
        self.catch_up()
        self.join(1 - who, run_id, cursors)

    @rule(who=WHO, run_id=RUNS)
    def mark_awaiting_input(self, who, run_id):
        self.both(who, lambda b: b.mark_awaiting_input(run_id))

    @rule(who=WHO)
    def stats(self, who):
        async def stats(bridge):
            found = await bridge.get_stats()
            return found.active_streams, found.terminal_streams, found.total_events

        self.both(who, stats)

    @rule(who=WHO, run_id=RUNS)
    def status(self, who, run_id):
        async def status(bridge):
            info = await bridge.status(run_id)
            counts = info.event_count, info.total_bytes, info.awaiting_input
            return info.thread_id, info.status, info.first_id, info.last_id, counts

        self.both(who, status)

    @rule(who=WHO, run_id=RUNS, cursors=CURSORS)
    def join(self, who, run_id, cursors):
        """Join with remembered, foreign, forged, malformed, or no cursors."""
        for owner, at, shifts, other in cursors:
            known = self.ids.get(owner or run_id)
            cursor = other
            if known and other is None:
                place = zip(known[at % len(known)].split("-"), shifts, strict=True)
                cursor = "-".join(str(int(number) + shift) for number, shift in place)
            readers = tuple(Reader(bridge, run_id, cursor) for bridge in self.pairs[who])
            opening = iter(readers)
            resume = self.both(who, lambda _, opening=opening: next(opening).open())
            if resume is not None:
                event(f"resume: {resume.status.value}")
                self.readers.append(readers)
                self.compare(readers)
        while len(self.readers) > MAX_READERS:
            self.leave(0)

    @rule(at=st.integers(0, MAX_READERS - 1))
    def leave(self, at):
        for reader in self.readers.pop(at) if at < len(self.readers) else ():
            self.run(reader.leave())

    @rule()
    def catch_up(self):
        for readers in self.readers:
            self.compare(readers)

    def compare(self, readers):
        try:
            info = self.run(self.pairs[0][0].status(readers[0].run_id))
        except StreamNotFoundError:
            info = None
        memory, jetstream = (plain(self.run(reader.read(info))) for reader in readers)
        assert memory == jetstream
        assert [type(item) for item in memory].count(StreamGap) <= 1
        assert readers[0].is_over == readers[1].is_over

    def teardown(self):
        with self.directory, self.runner:
            try:
                self.catch_up()
                for readers in self.readers:
                    for reader in readers:
                        self.run(reader.leave())
            finally:
                self.run(self.stack.aclose())


# A failure takes minutes to shrink.
TestTwoLogs = pytest.mark.timeout(1200)(pytest.mark.chaos(TwoLogs.TestCase))
TestTwoLogs.settings = settings(
    max_examples=100 * int(os.environ.get("CHAOS_FACTOR", "1")),
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
