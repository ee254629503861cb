"""Write one subject of the state stream when it is still as it was read, and else not at all."""

from secrets import token_hex

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError, EventTooLargeError, StateConflictError, Stored
from bridge.publication import DECIDE_BY_READING, publish_once
from bridge.replies import SilenceError
from bridge.stream_reader import StreamReader


async def compare_and_set(
    connection: Connection,
    reader: StreamReader,
    subject: str,
    value: bytes,
    *,
    revision: int,
    what: str,
) -> int:
    """Make ``value`` the newest message of a subject.

    Args:
        connection: An open connection.
        reader: Reads the state stream.
        subject: The subject.
        value: What is written.
        revision: The sequence of the message that was read there; 0 when there was none.
        what: How the subject is called in errors.

    Returns:
        The new revision.

    Raises:
        StateConflictError: It changed meanwhile; read it again and decide again.
        EventTooLargeError: Above the server's limit; nothing was stored.
        UnavailableError: The server fell silent; ``stored`` says what is known.
    """
    nonce = token_hex(8)
    headers = wire.encode_write(revision, nonce)
    outage = connection.outage(f"writing {what}")
    stored = Stored.NO
    while True:
        try:
            return (await publish_once(connection, subject, value, headers)).seq
        except SilenceError as silence:
            stored = Stored.UNKNOWN if silence.sent else stored
        except (ApiError, EventTooLargeError) as error:
            is_race = isinstance(error, ApiError) and error.err_code in DECIDE_BY_READING
            if stored is Stored.NO and not is_race:
                raise
            async with outage.bounding(stored):
                newest = await reader.find_last(subject)
            if newest is not None and newest.headers.get(wire.WRITER) == nonce:
                return newest.seq
            # An older one, or none, is what a leader that was just deposed would answer.
            if newest is not None and newest.seq > revision:
                raise StateConflictError(what) from error
        await outage.wait(stored)
