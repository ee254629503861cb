"""Every subject and stream name, spelled in this one file.

A subject holds only ids that were checked; the shard token comes first so that a stream can later
take a share of the shards.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

from bridge.ids import check_id, shard, token


class RunRef(NamedTuple):
    """A run and the thread that owns it: what an event's subject is made of."""

    thread_id: str
    run_id: str

    @classmethod
    def checked(cls, thread_id: object, run_id: object) -> "RunRef":
        """Make a reference from ids as they came in.

        Raises:
            InvalidIdError: One of them is not one subject token.
        """
        return cls(check_id("thread_id", thread_id), check_id("run_id", run_id))


class Subjects:
    """The names below one prefix.

    Args:
        prefix: The first token of every subject; in capitals, the first part of stream names.
    """

    def __init__(self, prefix: str = "jetrun") -> None:
        self.prefix = prefix
        name = prefix.upper().replace("-", "_")
        self.events_stream = f"{name}_EVENTS"
        self.state_stream = f"{name}_STATE"
        self.secrets_stream = f"{name}_SECRETS"
        self.jobs_stream = f"{name}_JOBS"
        self.timers_stream = f"{name}_TIMERS"
        self.dead_stream = f"{name}_DEAD"
        self.checkpoints_stream = f"{name}_CHECKPOINTS"
        self.items_stream = f"{name}_ITEMS"
        self.all_items = f"{prefix}.item.>"
        self.all_events = f"{prefix}.events.>"
        self.all_live = f"{prefix}.live.>"
        self.all_state = f"{prefix}.state.>"
        self.all_secrets = f"{prefix}.secret.>"
        self.all_seals = f"{prefix}.state.*.seal.>"
        self.all_jobs = f"{prefix}.job.>"
        self.all_set_timers = f"{prefix}.timer.set.>"
        self.all_timers = f"{prefix}.timer.>"
        self.all_dead = f"{prefix}.dead.>"
        self.readers = f"{prefix}.roll.readers"
        self.holders = f"{prefix}.roll.holders"
        self.all_controls = f"{prefix}.control.*"
        self.all_calls = f"{prefix}.call.*"

    def event(self, run: RunRef) -> str:
        """Where a run's events are stored."""
        return f"{self.prefix}.events.{shard(run.thread_id)}.{run.thread_id}.{run.run_id}"

    def live(self, run: RunRef) -> str:
        """Where the server republishes a run's events as they are stored."""
        return f"{self.prefix}.live.{shard(run.thread_id)}.{run.thread_id}.{run.run_id}"

    def thread_events(self, thread_id: str) -> str:
        """The events of all runs of a thread."""
        return f"{self.prefix}.events.{shard(thread_id)}.{thread_id}.*"

    def thread_live(self, thread_id: str) -> str:
        """Where the server republishes the events of all runs of a thread."""
        return f"{self.prefix}.live.{shard(thread_id)}.{thread_id}.*"

    def shard_events(self, shard_token: str) -> str:
        """The events of all runs of a shard."""
        return f"{self.prefix}.events.{shard_token}.>"

    def events_of(self, thread_id: str | None, run_id: str | None) -> str:
        """The events of one run, of all runs of a thread, or of all runs."""
        if run_id is not None and thread_id is not None:
            return self.event(RunRef(thread_id, run_id))
        if run_id is not None:
            return f"{self.prefix}.events.*.*.{run_id}"
        return self.all_events if thread_id is None else self.thread_events(thread_id)

    def scope_of(self, subject: str) -> tuple[str | None, str | None]:
        """Read thread and run out of what :meth:`events_of` made; None for all of them."""
        tokens = subject.split(".")
        named = [None if token in ("*", ">") else token for token in tokens[-2:]]
        return (None, None) if tokens[-1] == ">" else (named[0], named[1])

    def run_of(self, subject: str) -> RunRef:
        """Read the run out of the subject of an event, a live one, a dead letter or a seal."""
        thread_id, run_id = subject.rsplit(".", 2)[1:]
        return RunRef(thread_id, run_id)

    def state(self, kind: str, key: str) -> str:
        """Where the state record ``key`` of a kind is kept."""
        return f"{self.prefix}.state.{shard(key)}.{kind}.{key}"

    def states(self, kind: str) -> str:
        """All state records of a kind."""
        return f"{self.prefix}.state.*.{kind}.*"

    def secret(self, kind: str, key: str) -> str:
        """Where the record ``key`` of a kind is kept that workers and sinks must not read."""
        return f"{self.prefix}.secret.{shard(key)}.{kind}.{key}"

    def secrets(self, kind: str) -> str:
        """All secret records of a kind."""
        return f"{self.prefix}.secret.*.{kind}.*"

    def seal(self, run: RunRef) -> str:
        """Where it is kept how a run ended that has left the log."""
        return f"{self.prefix}.state.{shard(run.thread_id)}.seal.{run.thread_id}.{run.run_id}"

    def seals(self, thread_id: str) -> str:
        """The seals of all runs of a thread that have left the log."""
        return f"{self.prefix}.state.{shard(thread_id)}.seal.{thread_id}.*"

    def job(self, executor: str, run_id: str) -> str:
        """Where a run's job waits for a worker that has the executor."""
        return f"{self.prefix}.job.{executor}.{run_id}"

    def jobs(self, executor: str) -> str:
        """All jobs for one executor."""
        return f"{self.prefix}.job.{executor}.*"

    def timer(self, kind: str, key: str) -> str:
        """Where a timer waits for its time."""
        return f"{self.prefix}.timer.set.{kind}.{key}"

    def firing(self, kind: str, key: str) -> str:
        """Where a timer that has fired waits for somebody who handles it."""
        return f"{self.prefix}.timer.fired.{kind}.{key}"

    def firings(self, kind: str) -> str:
        """All timers of a kind that have fired."""
        return f"{self.prefix}.timer.fired.{kind}.*"

    def control(self, run_id: str) -> str:
        """Where a worker hears that a run's state wants its attention."""
        return f"{self.prefix}.control.{run_id}"

    def call(self, name: str) -> str:
        """Where one of those who answer to a name is asked."""
        return f"{self.prefix}.call.{name}"

    def dead_letter(self, consumer: str, run: RunRef) -> str:
        """Where an event that a consumer gave up is kept."""
        return f"{self.prefix}.dead.{consumer}.{run.thread_id}.{run.run_id}"

    def dead_letters(self, consumer: str) -> str:
        """All events that a consumer gave up."""
        return f"{self.prefix}.dead.{consumer}.>"

    def item(self, namespace: Sequence[str], key: str) -> str:
        """Where an item is kept; labels and key may be any text."""
        return f"{self._items(namespace)}.{token(key)}"

    def items(self, prefix: Sequence[str]) -> str:
        """All items whose namespace begins with some labels."""
        return f"{self._items(prefix)}.>" if prefix else self.all_items

    def _items(self, namespace: Sequence[str]) -> str:
        labels = [token(label) for label in namespace]
        return ".".join((self.prefix, "item", shard(labels[0] if labels else ""), *labels))

    @staticmethod
    def labels_of(subject: str) -> tuple[str, ...]:
        """Read the tokens of an item's namespace out of its subject."""
        return tuple(subject.split(".")[3:-1])


class CheckpointKind(StrEnum):
    """What a message of the checkpoints' stream is, and the second token of its subject."""

    ENTRY = "ck"
    KEPT = "kept"
    NOTE = "wr"
    PART = "part"
    CLAIM = "claim"


class CheckpointKey(NamedTuple):
    """The tokens that name one message of a thread's checkpoints, other than its kind.

    Attributes:
        thread: The thread.
        lane: The line of checkpoints within the thread.
        entry: The checkpoint that the message is, or is about.
        order: Greater than that of every earlier message of the thread; no two have the same.
        run: The run that stored it.
    """

    thread: str
    lane: str
    entry: str
    order: str
    run: str


class CheckpointSubjects:
    """The names of checkpoints below one prefix.

    Args:
        prefix: The first token of every subject.
    """

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.all = [f"{prefix}.{kind}.>" for kind in CheckpointKind]

    def claim(self, thread_id: str) -> str:
        """Where it is noted who may write a thread's checkpoints."""
        return self.claim_of(token(thread_id))

    def claim_of(self, thread: str) -> str:
        """Where that is noted of a thread that is given by its token."""
        return f"{self._prefix}.{CheckpointKind.CLAIM}.{shard(thread)}.{thread}"

    def place(self, kind: CheckpointKind, key: CheckpointKey) -> str:
        """Where one message is stored."""
        return ".".join((self._prefix, kind, shard(key.thread), *key))

    def part(self, key: CheckpointKey, number: int) -> str:
        """Where a piece is stored of what was too large for one message."""
        return f"{self.place(CheckpointKind.PART, key)}.{number}"

    def parts(self, key: CheckpointKey) -> str:
        """All pieces of one message."""
        return f"{self.place(CheckpointKind.PART, key)}.*"

    def parts_of_shard(self, shard_token: str) -> str:
        """All pieces of the messages of a shard's threads."""
        return f"{self._prefix}.{CheckpointKind.PART}.{shard_token}.>"

    def select(self, kind: CheckpointKind, *path: str, run: str | None = None) -> str:
        """All messages of a kind, of a thread, of a lane in it, or of an entry in that.

        Args:
            kind: The kind.
            *path: The tokens of the thread, the lane and the entry, as far as wanted.
            run: The token of the run that stored them; only without a path.
        """
        if run is not None:
            return f"{self._prefix}.{kind}.*.*.*.*.*.{run}"
        shards = [shard(path[0])] if path else []
        return ".".join((self._prefix, kind, *shards, *path, ">"))

    @staticmethod
    def moved(subject: str, thread: str) -> str:
        """Return the same place in another thread, given by its token."""
        tokens = subject.split(".")
        return ".".join((*tokens[:2], shard(thread), thread, *tokens[4:]))

    @staticmethod
    def key_of(subject: str) -> CheckpointKey:
        """Read the key out of a subject."""
        return CheckpointKey(*subject.split(".")[3:8])
