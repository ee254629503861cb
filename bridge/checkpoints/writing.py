"""Store messages of a thread's checkpoints: all of one, or nothing that anybody sees.

What is too large for one message is stored in parts first; the message that names them comes last
and makes it visible. Repeated copies of a message are dropped by the server.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Final
from uuid import uuid4

from bridge import wire
from bridge.checkpoints.claims import Claims, ThreadClaim
from bridge.connection import Connection
from bridge.errors import (
    ApiError,
    CheckpointFencedError,
    CheckpointTooLargeError,
    Stored,
    StreamCapacityExceededError,
)
from bridge.publication import FULL, PREDECESSOR_IN_PROCESS, WRONG_LAST_SEQUENCE, publish_once
from bridge.replies import SilenceError
from bridge.subjects import CheckpointKey, CheckpointKind, CheckpointSubjects

#: Small enough for several parts to come in one page of a read.
MAX_PART_BYTES: Final = 1 << 20
#: Room for a message's headers, beside its names, within the server's limit for one message.
_HEADER_ROOM_BYTES: Final = 2048


class CheckpointWriter:
    """Stores what the holder of a claim may store.

    Args:
        connection: An open connection.
        claims: Says who holds a thread.
        subjects: Spells the subjects.
        max_bytes: The largest content of one message, before it is cut into parts.
    """

    def __init__(
        self,
        connection: Connection,
        claims: Claims,
        subjects: CheckpointSubjects,
        *,
        max_bytes: int,
    ) -> None:
        self._connection = connection
        self._claims = claims
        self._subjects = subjects
        self._max_bytes = max_bytes

    async def store(
        self,
        claim: ThreadClaim,
        kind: CheckpointKind,
        key: CheckpointKey,
        payload: bytes,
        names: Mapping[str, str],
    ) -> None:
        """Store one message, in parts where it must be.

        Args:
            claim: The right to write the thread.
            kind: What it is.
            key: Its place.
            payload: Its content.
            names: Headers with texts of any kind; see :func:`encode_name`.

        Raises:
            CheckpointTooLargeError: Above ``max_bytes``; nothing was stored.
            CheckpointFencedError: Another writer has the thread; the message was not stored.
            StreamCapacityExceededError: The server's storage is full; the message was not stored.
            UnavailableError: The server fell silent; ``stored`` says what is known.
        """
        if len(payload) > self._max_bytes:
            raise CheckpointTooLargeError(len(payload), self._max_bytes)
        headers = dict(names)
        room = _HEADER_ROOM_BYTES + sum(len(name) for name in names.values())
        if len(payload) > self._connection.max_payload - room:
            size = min(MAX_PART_BYTES, self._connection.max_payload - room)
            pieces = [payload[start : start + size] for start in range(0, len(payload), size)]
            for number, piece in enumerate(pieces):
                await self.publish(claim, self._subjects.part(key, number), piece, {})
            headers[wire.CHECKPOINT_PARTS] = str(len(pieces))
            payload = b""
        await self.publish(claim, self._subjects.place(kind, key), payload, headers)

    async def publish(
        self, claim: ThreadClaim, subject: str, payload: bytes, headers: Mapping[str, str]
    ) -> None:
        """Store one message as it is; raises as :meth:`store` does."""
        conditions = wire.encode_stored(
            {
                **headers,
                wire.EXPECTED_SUBJECT_SEQUENCE: str(claim.seq),
                wire.EXPECTED_SUBJECT: self._subjects.claim(claim.thread_id),
                wire.MESSAGE_ID: uuid4().hex,
            }
        )
        outage = self._connection.outage(f"storing a checkpoint of {claim.thread_id}")
        stored = Stored.NO
        while True:
            try:
                async with self._turn(claim):
                    await publish_once(self._connection, subject, payload, conditions)
            except SilenceError as silence:
                stored = Stored.UNKNOWN if silence.sent else stored
            except ApiError as error:
                if error.err_code in FULL:
                    raise StreamCapacityExceededError(
                        f"checkpoints: {error.description}"
                    ) from error
                if error.err_code == WRONG_LAST_SEQUENCE:
                    async with outage.bounding(stored):
                        await self._check_claim(claim)
                elif error.err_code != PREDECESSOR_IN_PROCESS:
                    raise
            else:
                return
            await outage.wait(stored)

    async def _check_claim(self, claim: ThreadClaim) -> None:
        # A leader that was just deposed may not know the claim yet; a newer one decides.
        newest = await self._claims.find(claim.thread_id)
        if newest.seq > claim.seq:
            raise CheckpointFencedError(claim.thread_id, newest.run_id, is_over=newest.is_over)
        if newest.seq == 0:
            # What kept writers out of a thread that was erased has gone by itself.
            raise CheckpointFencedError(claim.thread_id, None)

    @asynccontextmanager
    async def _turn(self, claim: ThreadClaim) -> AsyncGenerator[None]:
        if self._connection.is_clustered:
            async with claim.turn:
                yield
        else:
            yield


def encode_name(name: str) -> str:
    """Return any text as a header takes it."""
    return json.dumps(name)


def decode_name(header: str) -> str:
    """Return what :func:`encode_name` was given."""
    return str(json.loads(header))
