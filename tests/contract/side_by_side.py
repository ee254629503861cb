"""Two logs side by side, in memory and on a real nats-server, each with two bridges."""

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import uvloop
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
    RetentionSettings,
    StreamEvent,
)
from bridge.ids import shard
from bridge.memory.sweep import MemorySweep
from bridge.retention.departure import Departure
from bridge.retention.run_holders import NoHolders

#: Ended runs may leave at once.
AT_ONCE = {"terminal_ttl_s": 1e-6, "orphan_timeout_s": 1e-6, "max_age_s": 1e-6}


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


class SideBySide:
    """Both logs; what is called on one is called on the other, and they must say the same.

    Attributes:
        pairs: Two pairs of bridges, each the one in memory and the one on the server.
    """

    def __init__(self):
        self.pairs = []
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self._stack = AsyncExitStack()
        self._directory = tempfile.TemporaryDirectory()

    def run(self, coroutine):
        return self._runner.run(self._in_time(coroutine))

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

    def open(self):
        self.run(self._open())

    async def _open(self):
        directory = Path(self._directory.name)
        self._server = await self._stack.enter_async_context(EmbeddedServer(directory))
        nats = NatsSettings(
            url=self._server.url,
            user=self._server.user,
            password=self._server.password,
            reconnect_wait_s=0.02,
        )
        self._settings = BridgeSettings(nats=nats, retention=RetentionSettings(**AT_ONCE))
        self._limits = MemorySettings(max_events_per_run=100_000, **AT_ONCE)
        self._log = MemoryStreamBridge(self._limits)
        self.pairs = [await self._connect() for _ in range(2)]

    async def _connect(self):
        pair = (self._log.peer(), JetStreamBridge(self._settings))
        for bridge in pair:
            await self._stack.enter_async_context(bridge)
        return pair

    def peers(self, bridge):
        """The bridges to the log that ``bridge`` is one of."""
        return next(peers for peers in zip(*self.pairs, strict=True) if bridge in peers)

    def renew(self, who):
        """End a process, and start another one in its place."""
        self.run(self._renew(who))

    async def _renew(self, who):
        for bridge in self.pairs[who]:
            await bridge.close()
        self.pairs[who] = await self._connect()

    def restart_server(self):
        """SIGKILL; memory has nothing like it, so it must not show."""
        self.run(self._restart_server())

    async def _restart_server(self):
        await self._server.kill()
        await self._server.restart()

    def let_events_go(self, who, threads):
        """Sweep: the events of ended runs leave, but for their ends."""
        memory, jetstream = self.pairs[who]
        sweep = MemorySweep(memory._log, self._limits, NoHolders(), "sweep")
        sweep._let_go(log for log in memory._log.runs() if log.run.thread_id in threads)
        ended = jetstream.retention._ended_runs(None)
        for thread_id in threads:
            self.run(ended.visit(shard(thread_id)))

    def let_run_go(self, who, run_id):
        """Let a run leave the log altogether, when it has ended; return whether it had."""
        memory, jetstream = self.pairs[who]
        terminal = self.both(who, lambda bridge: _find_terminal(bridge, run_id))
        if terminal is None:
            return False
        log = memory._log
        if run_id in log._runs:
            log.seal(log.get(run_id))
        departure = Departure(jetstream._log, jetstream.states, jetstream._seals)
        self.run(self._depart(jetstream, departure, run_id))
        return True

    async def _depart(self, bridge, departure, run_id):
        await departure.remove((await bridge.status(run_id)).terminal)

    def close(self):
        with self._directory, self._runner:
            self.run(self._stack.aclose())


async def _find_terminal(bridge, run_id):
    return (await bridge.status(run_id)).terminal
