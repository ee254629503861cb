"""What a durable bridge is made of, and how it is opened and closed.

The server holds the state. What these parts remember, they can forget at any time.
"""

from contextlib import AsyncExitStack

from bridge.assets import Assets
from bridge.awaiting import AwaitingInput
from bridge.births import Births
from bridge.calls import CallChannel
from bridge.checkpoints.log import CheckpointLog
from bridge.cold_tier import NO_COLD_TIER, ColdTier
from bridge.connection import Connection
from bridge.controls import CoreControls
from bridge.dead_letters import DeadLetters
from bridge.deletion import Deletion
from bridge.errors import BridgeClosedError
from bridge.event_log import EventLog
from bridge.items.items import Items
from bridge.jobs import JetStreamJobQueue
from bridge.metrics.collector import BridgeCollector
from bridge.metrics.leases import LeaseFigures
from bridge.names import Names
from bridge.retention.policy import Retention
from bridge.retention.room import LogRoom
from bridge.retention.survey import Survey
from bridge.roll_call import RollCall
from bridge.run_bridge import RunBridge
from bridge.run_refs import RunRefs
from bridge.seals import Seals
from bridge.settings import BridgeSettings
from bridge.state import JetStreamStates
from bridge.state_feed import JetStreamStateFeed
from bridge.stored_runs import StoredRuns
from bridge.stream_reader import StreamReader
from bridge.subjects import Subjects
from bridge.tail import Tails
from bridge.thread_follower import ThreadTails
from bridge.timers import JetStreamTimers
from bridge.topology import ensure_streams
from bridge.writers import RunWriters


class AssembledBridge(RunBridge):
    """The parts of a :class:`bridge.JetStreamBridge` over one connection."""

    assets: Assets
    calls: CallChannel
    checkpoints: CheckpointLog
    items: Items
    metrics: BridgeCollector
    retention: Retention

    def __init__(
        self,
        settings: BridgeSettings | None = None,
        *,
        name: str = "jetrun",
        cold: ColdTier | None = None,
    ) -> None:
        self._settings = settings or BridgeSettings()
        self._cold = cold or NO_COLD_TIER
        self._name = name
        self._subjects = Subjects(self._settings.log.prefix)
        self._is_open = False
        self._lease_figures = LeaseFigures()
        self._aside = AsyncExitStack()

    async def start(self) -> None:
        """Connect, make or verify the JetStream assets, and open the bridge.

        Raises:
            UnavailableError: No server answered in time.
            AccessDeniedError: The server refused the credentials, or a subject to them.
            CredentialsUnusableError: They are no credentials.
            StreamsMissingError: An asset is absent, and these credentials may not make it.
            ServerTooOldError: The server is older than 2.12.
            JetStreamDisabledError: The account has no JetStream.
            TopologyDriftError: An asset differs from what is wanted; nothing was changed.
        """
        connection = Connection(self._settings, name=self._name)
        await connection.open()
        try:
            await ensure_streams(connection, self._settings)
            self._assemble(connection)
            await self._aside.enter_async_context(self._room.watched())
            readers = RollCall(connection, self._subjects.readers)
            await self._aside.enter_async_context(readers.answer(self._tails.find_read))
        except BaseException:
            await self._aside.aclose()
            await connection.close()
            raise
        self._is_open = True

    def _assemble(self, connection: Connection) -> None:
        limits = self._settings.log
        self._connection = connection
        self._reader = self._stream_reader(self._subjects.events_stream, any_version=True)
        state_reader = self._stream_reader(self._subjects.state_stream)
        self._seals = Seals(connection, state_reader, self._subjects)
        self._log = EventLog(self._reader, self._subjects, self._seals)
        self._writers = RunWriters(connection, self._log, self._settings)
        self._tails = Tails(connection, self._subjects, limits)
        self._thread_tails = ThreadTails(connection, self._subjects, self._log)
        self.states = JetStreamStates(
            connection, state_reader, self._subjects.state, self._subjects.states
        )
        self.state_feed = JetStreamStateFeed(state_reader, self._subjects.all_state)
        self._refs = RunRefs(self.states, max_cached=limits.max_cached_runs)
        dead_reader = self._stream_reader(self._subjects.dead_stream, any_version=True)
        dead_letters = DeadLetters(connection, dead_reader, self._subjects)
        self._names = Names(
            connection, self._subjects, self._refs, dead_letters, idle_s=limits.consumer_idle_s
        )
        self._awaiting = AwaitingInput(self.states)
        survey = Survey(self._reader, self._subjects)
        self._stored = StoredRuns(self._log, survey, self._awaiting, self._cold)
        self._room = LogRoom(self._reader, self._settings)
        self._births = Births(
            self._log,
            self._writers,
            self._refs,
            self._seals,
            self._room,
            prompt_s=limits.request_timeout_s,
        )
        self._deletion = Deletion(
            connection,
            self._log,
            self._refs,
            self._seals,
            dead_letters,
            ttl_s=self._settings.retention.deleted_ttl_s,
        )
        self.checkpoints = CheckpointLog(
            connection, self._stream_reader(self._subjects.checkpoints_stream), self._settings
        )
        self.retention = Retention(
            connection,
            self._log,
            self.states,
            seals=self._seals,
            survey=survey,
            room=self._room,
            orphans=self.checkpoints.orphans(self._log),
            settings=self._settings,
        )
        self._assemble_shared(connection)

    def _assemble_shared(self, connection: Connection) -> None:
        secret_reader = self._stream_reader(self._subjects.secrets_stream)
        self.secrets = JetStreamStates(
            connection, secret_reader, self._subjects.secret, self._subjects.secrets
        )
        self.assets = Assets(connection, self._settings)
        self.jobs = JetStreamJobQueue(connection, self._subjects)
        self.timers = JetStreamTimers(connection, self._subjects)
        self.controls = CoreControls(connection, self._subjects)
        self.calls = CallChannel(connection, self._subjects)
        self.items = Items(
            connection,
            self._stream_reader(self._subjects.items_stream),
            self._subjects,
            self._settings.items,
        )
        self.holders = RollCall(connection, self._subjects.holders)
        self.metrics = BridgeCollector(
            connection, self._writers, self._tails, self._thread_tails, self._lease_figures
        )

    def _stream_reader(self, stream: str, *, any_version: bool = False) -> StreamReader:
        return StreamReader(
            self._connection,
            stream,
            max_concurrent_reads=self._settings.log.max_concurrent_reads,
            timeout_s=self._settings.log.request_timeout_s,
            any_version=any_version,
        )

    async def close(self) -> None:
        """Store what is queued within ``close_timeout_s``, send readers ``CANCELLED``, close."""
        if not self._is_open:
            return
        self._is_open = False
        try:
            await self._writers.close(self._settings.log.close_timeout_s)
        finally:
            self._tails.close()
            self._thread_tails.close()
            await self._aside.aclose()
            await self._connection.close()

    @property
    def is_connected(self) -> bool:
        """Whether the server is there at this moment."""
        return self._is_open and self._connection.is_connected

    @property
    def unanswered_requests(self) -> int:
        """How many requests to the server wait for an answer at this moment."""
        return self._connection.unanswered_requests

    def _check_open(self) -> None:
        if not self._is_open:
            raise BridgeClosedError
