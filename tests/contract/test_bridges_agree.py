"""The memory bridge and the JetStream bridge, driven side by side: what one says, the other says.

Two bridges on each log, as two processes would be. Whatever is called, both logs give the same
ids, the same events, the same gaps and the same errors. Processes come and go, the server is
killed, runs are trimmed, cleaned up, swept, and leave the log, while several write and read them.
"""

import asyncio
import os
from itertools import cycle

import pytest
from hypothesis import HealthCheck, event, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from side_by_side import Reader, SideBySide, plain

from bridge import StreamGap, StreamNotFoundError, Terminal, new_event

RUNS = st.sampled_from(["run-a", "run-b", "run-c", "run-d"])
# The durable log knows an attempt, and what was stored under a caller's own id, by the event only.
# It cannot answer for trimmed ones as memory can, so these runs are never trimmed, and their thread
# is never swept.
RUNS_LEFT_COMPLETE = st.just("run-a")
RUNS_THAT_ARE_TRIMMED = st.sampled_from(["run-b", "run-c"])
RUNS_THAT_LEAVE = RUNS_THAT_ARE_CLEANED_UP = st.sampled_from(["run-c", "run-d"])
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
THREADS = ("thread-1", "thread-2")


class TwoLogs(RuleBasedStateMachine):
    """Every rule does one thing to both logs and compares what they say."""

    def __init__(self):
        super().__init__()
        self.logs = SideBySide()
        self.run, self.both = self.logs.run, self.logs.both
        self.readers = []
        self.ids = {}
        self.has_restarted = False

    @initialize()
    def open_bridges(self):
        self.logs.open()
        for run_id in ("run-a", "run-b", "run-c"):
            self.create(0, run_id, "thread-0" if run_id == "run-a" else "thread-1")
            self.publish_many(0, run_id, 20, [])

    def remember(self, run_id, *ids):
        self.ids.setdefault(run_id, []).extend(event_id for event_id in ids if event_id)

    @rule(who=WHO, run_id=RUNS, thread_id=st.sampled_from(THREADS))
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

    @rule(run_id=RUNS, counts=st.lists(st.integers(1, 30), min_size=2, max_size=6))
    def publish_from_several(self, run_id, counts):
        """All land, in whatever order; the events are alike, so that it does not show."""
        events = [new_event("note", 0)] * max(counts)

        async def race(bridge):
            peers = cycle(self.logs.peers(bridge))
            writes = (
                peer.publish_many(run_id, events[:count])
                if count > 1
                else peer.publish(run_id, "note", 0)
                for peer, count in zip(peers, counts, strict=False)
            )
            found = await asyncio.gather(*writes, return_exceptions=True)
            errors = [type(each).__name__ for each in found if isinstance(each, BaseException)]
            ids = [each if isinstance(each, list) else [each] for each in found]
            stored = sorted((event_id for one in ids for event_id in one), key=_place)
            return sorted(errors) or stored

        self.both(0, race)

    @rule(run_id=RUNS_THAT_LEAVE, kind=st.sampled_from(Terminal), cursors=CURSORS)
    def end_from_several(self, run_id, kind, cursors):
        async def race(bridge):
            ends = (peer.publish_terminal(run_id, kind, {}) for peer in self.logs.peers(bridge) * 2)
            found = await asyncio.gather(*ends, return_exceptions=True)
            assert len(set(map(str, found))) == 1
            if isinstance(found[0], Exception):
                raise found[0]
            return found[0]

        self.remember(run_id, self.both(0, race))
        self.join(1, run_id, cursors)

    @rule(who=WHO, run_id=RUNS_THAT_LEAVE, cursors=CURSORS)
    def leave_the_log(self, who, run_id, cursors):
        self.publish_many(who, run_id, 5, [])
        self.end(who, run_id, Terminal.ENDED, [])
        self.catch_up()
        if self.logs.let_run_go(who, run_id):
            event("a run has left the log")
            self.join(1 - who, run_id, cursors)

    @rule(who=WHO, run_id=RUNS_THAT_LEAVE, cursors=CURSORS)
    def sweep(self, who, run_id, cursors):
        while self.readers:  # a run that is read would stay a while
            self.leave(0)
        self.end(who, run_id, Terminal.ERRORED, [])
        self.logs.let_events_go(who, THREADS)
        self.join(1 - who, run_id, cursors)

    @rule(who=WHO)
    def replace_a_process(self, who):
        while self.readers:
            self.leave(0)
        self.logs.renew(who)

    @precondition(lambda self: not self.has_restarted)
    @rule(is_now=st.sampled_from([False, False, True]))
    def kill_the_server(self, is_now):
        if is_now:
            event("the server was killed")
            self.has_restarted = True
            self.logs.restart_server()
            self.catch_up()

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
            readers = tuple(Reader(bridge, run_id, cursor) for bridge in self.logs.pairs[who])
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
            info = self.run(self.logs.pairs[0][0].status(readers[0].run_id))
        except StreamNotFoundError:
            info = None
        memory, jetstream = (plain(self.run(reader.read(info))) for reader in readers)
        assert memory == jetstream
        assert [type(item) for item in memory].count(StreamGap) <= 1
        assert readers[0].is_over == readers[1].is_over

    def teardown(self):
        try:
            self.catch_up()
            while self.readers:
                self.leave(0)
        finally:
            self.logs.close()


def _place(event_id):
    return int(event_id.split("-")[0]) if isinstance(event_id, str) else 0


# A failure takes minutes to shrink.
TestTwoLogs = pytest.mark.timeout(1200)(pytest.mark.chaos(TwoLogs.TestCase))
TestTwoLogs.settings = settings(
    max_examples=50 * int(os.environ.get("CHAOS_FACTOR", "1")),
    stateful_step_count=60,
    suppress_health_check=list(HealthCheck),
)
