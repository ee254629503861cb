"""Publish to JetStream once, and say exactly what the server answered."""

from typing import Final, NamedTuple
from uuid import uuid4

import orjson

from bridge import wire
from bridge.connection import Connection
from bridge.errors import ApiError, Stored, StreamCapacityExceededError
from bridge.replies import SilenceError

#: Another message was stored on the subject: read and decide.
WRONG_LAST_SEQUENCE: Final = 10071
#: The last message has another message id than demanded.
WRONG_LAST_MESSAGE_ID: Final = 10070
#: The predecessor is still being replicated: read and decide.
PREDECESSOR_IN_PROCESS: Final = 10164
DECIDE_BY_READING: Final = frozenset({WRONG_LAST_SEQUENCE, PREDECESSOR_IN_PROCESS})
#: The batch was not stored: incomplete, a known message id in it, too many batches in flight.
BATCH_NOT_STORED: Final = frozenset({10176, 10201, 10210})
#: A limit of the stream, the account or the disk was reached.
FULL: Final = frozenset({10077, 10047, 10023, 10028})
_TEMPORARY: Final = 503


class Ack(NamedTuple):
    """The server has stored the message, or had stored it before under the same message id."""

    seq: int
    duplicate: bool


async def publish_once(
    connection: Connection, subject: str, payload: bytes, headers: bytes = b""
) -> Ack:
    """Publish one message and wait for the server's word.

    Raises:
        SilenceError: No answer; ``sent`` tells whether it may be stored.
        ApiError: The server refused it; it is not stored.
        EventTooLargeError: It exceeds the server's limit; it was not sent.
    """
    message = await connection.request(subject, payload, headers=headers)
    return read_ack(message.data)


async def publish_surely(
    connection: Connection, subject: str, payload: bytes, headers: bytes, *, what: str
) -> None:
    """Publish one message again and again until the server has it; so it may be stored twice.

    Args:
        connection: An open connection.
        subject: Where it goes.
        payload: The content.
        headers: As ``wire`` encodes them; with a message id it is stored once.
        what: What the caller does, for the error.

    Raises:
        StreamCapacityExceededError: The stream, or the server's storage, is full.
        ApiError: The server refused it for another reason.
        EventTooLargeError: It exceeds the server's limit; it was not sent.
        UnavailableError: The server fell silent; ``stored`` says what is known.
    """
    outage = connection.outage(what)
    stored = Stored.NO
    while True:
        try:
            await publish_once(connection, subject, payload, headers)
        except SilenceError as silence:
            stored = Stored.UNKNOWN if silence.sent else stored
            await outage.wait(stored)
        except ApiError as error:
            if error.err_code in FULL:
                raise StreamCapacityExceededError(error.description) from error
            raise
        else:
            return


async def find_duplicate(connection: Connection, subject: str, message_id: str) -> Ack | None:
    """Ask whether a message id is known, without storing anything.

    The server looks at the message id before it looks at the id that the last message must have,
    and the one demanded here cannot be.
    """
    headers = {wire.MESSAGE_ID: message_id, wire.EXPECTED_MESSAGE_ID: uuid4().hex}
    try:
        return await publish_once(connection, subject, b"", wire.encode_headers(headers))
    except ApiError as error:
        if error.err_code != WRONG_LAST_MESSAGE_ID:
            raise
        return None


def read_ack(data: bytes) -> Ack:
    """Read a publish acknowledgement.

    Raises:
        ApiError: It is a refusal.
        SilenceError: JetStream could not serve the request now; nothing is stored.
    """
    answer = orjson.loads(data)
    error = answer.get("error")
    if error is None:
        return Ack(answer["seq"], answer.get("duplicate", False))
    code = error.get("err_code", 0)
    if error.get("code") == _TEMPORARY and code not in FULL:
        raise SilenceError(sent=False)
    raise ApiError(code, error.get("description", ""))
