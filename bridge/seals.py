"""The seals of runs that have left the log: of each one, its terminal event.

A run that leaves the log altogether must not be born again there, and whoever asks must still be
told how it ended. So its terminal event moves to the state records before the log lets it go, and
is read as the run's last event ever after. It goes only when the run is deleted.
"""

from contextlib import suppress

import orjson

from bridge import wire
from bridge.compare_and_set import compare_and_set
from bridge.connection import Connection
from bridge.errors import StateConflictError
from bridge.events import StreamEvent
from bridge.state import ABSENT, TOMBSTONE
from bridge.stream_reader import StreamReader
from bridge.subjects import RunRef, Subjects

#: What stands in the place of a server's header: where the event stood in the log.
_SEQUENCE = wire.STREAM_SEQUENCE


class Seals:
    """Reads and writes seals.

    Args:
        connection: An open connection.
        reader: Reads the state stream.
        subjects: Spells the subjects.
    """

    def __init__(self, connection: Connection, reader: StreamReader, subjects: Subjects) -> None:
        self._connection = connection
        self._reader = reader
        self._subjects = subjects

    async def keep(self, terminal: StreamEvent) -> None:
        """Keep a run's terminal event; idempotent, and of a run that was deleted nothing is kept.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        with suppress(StateConflictError):  # it is kept already, or was forgotten for good
            await self._write(terminal.run, _encode(terminal), ABSENT)

    async def find(self, run: RunRef) -> StreamEvent | None:
        """Return the terminal event of a run that has left the log, as the leader knows it.

        Returns:
            ``None`` when the run has not left, or was deleted.

        Raises:
            UnavailableError: The server fell silent.
        """
        message = await self._reader.find_last(self._subjects.seal(run))
        if message is None or message.payload == TOMBSTONE:
            return None
        return _decode(run, message.payload)

    async def forget(self, run: RunRef) -> None:
        """Forget how a run ended, because it is deleted; a run without a seal is left alone.

        Raises:
            UnavailableError: The server fell silent; call again.
        """
        message = await self._reader.find_last(self._subjects.seal(run))
        if message is not None and message.payload != TOMBSTONE:
            with suppress(StateConflictError):  # somebody else has forgotten it
                await self._write(run, TOMBSTONE, message.seq)

    async def list_runs(self, thread_id: str) -> list[str]:
        """Return the ids of a thread's runs that have left the log, deleted ones too."""
        subjects = await self._reader.subjects(self._subjects.seals(thread_id))
        return [self._subjects.run_of(subject).run_id for subject in subjects]

    async def _write(self, run: RunRef, value: bytes, revision: int) -> None:
        what = f"the seal of run {run.run_id}"
        subject = self._subjects.seal(run)
        await compare_and_set(
            self._connection, self._reader, subject, value, revision=revision, what=what
        )


def _encode(terminal: StreamEvent) -> bytes:
    facts = {**wire.headers_of(terminal), _SEQUENCE: str(terminal.event_id.stream_seq)}
    # The payload stays as it is, byte for byte, behind a line of facts.
    return orjson.dumps(facts) + b"\n" + terminal.payload


def _decode(run: RunRef, value: bytes) -> StreamEvent:
    facts, _, payload = value.partition(b"\n")
    headers = orjson.loads(facts)
    return wire.decode_event(run, int(headers[_SEQUENCE]), headers, payload)
