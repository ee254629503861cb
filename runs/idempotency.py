"""Creates that carry a key: whoever repeats one, anywhere, gets the run of the first.

A key belongs to its user and, for a run of a thread, to that thread. Its record names the run's id
before anything else of the run is stored, so a create that died half way is finished by the next.
"""

from hashlib import sha256
from typing import Final

from bridge import RunBridge, RunRef, StateConflictError, encode_json
from runs.errors import ContentionError, IdempotencyKeyUsedError
from runs.models import Frozen, RunSpec

_KEY: Final = "key"
_MAX_TRIES: Final = 8


class KeyedRun(Frozen):
    """The run that a key stands for.

    Attributes:
        fingerprint: A digest of what was asked for.
    """

    thread_id: str
    run_id: str
    fingerprint: str

    @property
    def run(self) -> RunRef:
        """The run."""
        return RunRef(self.thread_id, self.run_id)


class IdempotencyKeys:
    """The keys that creates have carried; one small record each, kept for good."""

    def __init__(self, bridge: RunBridge) -> None:
        self._bridge = bridge

    async def claim(self, spec: RunSpec, key: str, proposed: RunRef) -> RunRef:
        """Return the run that ``key`` stands for: ``proposed`` when nobody used it before.

        Args:
            spec: What is asked for.
            key: What the caller chose.
            proposed: Ids that were never used.

        Raises:
            IdempotencyKeyUsedError: The key came with another request before.
            InvalidContentError: The request is not JSON; nothing was stored.
            ContentionError: Too many lost races; nothing was stored.
            UnavailableError: The server fell silent; call again.
        """
        wanted = _keyed(spec, proposed)
        name = _name(spec, key)
        for _ in range(_MAX_TRIES):
            found = await self._bridge.states.find(_KEY, name)
            if found is not None:
                first = KeyedRun.decode(found.value)
                if first.fingerprint != wanted.fingerprint:
                    raise IdempotencyKeyUsedError(key, "for another request")
                return first.run
            try:
                await self._bridge.states.create(_KEY, name, wanted.encode())
            except StateConflictError:
                continue
            return proposed
        raise ContentionError(f"idempotency key {key!r}", _MAX_TRIES)

    async def replace(self, spec: RunSpec, key: str, gone: RunRef, proposed: RunRef) -> None:
        """Let ``key`` stand for ``proposed``, because its run was refused and never lived.

        Raises:
            IdempotencyKeyUsedError: The run has lived, and was deleted or rolled back since.
            UnavailableError: The server fell silent; call again.
        """
        name = _name(spec, key)
        found = await self._bridge.states.find(_KEY, name)
        if found is None or KeyedRun.decode(found.value).run != gone:
            return  # somebody else has just done it
        if await self._bridge.has_lived(gone.run_id):
            raise IdempotencyKeyUsedError(key, f"for run {gone.run_id}, which was removed since")
        try:
            value = _keyed(spec, proposed).encode()
            await self._bridge.states.update(_KEY, name, value, revision=found.revision)
        except StateConflictError:
            return


def _keyed(spec: RunSpec, run: RunRef) -> KeyedRun:
    asked = spec.model_copy(update={"idempotency_key": None}).encode()
    return KeyedRun(
        thread_id=run.thread_id, run_id=run.run_id, fingerprint=sha256(asked).hexdigest()
    )


def _name(spec: RunSpec, key: str) -> str:
    return sha256(encode_json([spec.user_id, spec.thread_id, key])).hexdigest()
