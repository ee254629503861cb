"""The threads that one saver writes, each under a claim that it takes with its first write."""

import asyncio
from collections import OrderedDict
from typing import Final, NamedTuple

from bridge import CheckpointLog, ThreadClaim

_MAX_HELD: Final = 1024


class _Binding(NamedTuple):
    thread_id: str
    run_id: str
    attempt: int


class HeldClaims:
    """Claims threads as they are written.

    Args:
        log: Where claims are taken.
    """

    def __init__(self, log: CheckpointLog) -> None:
        self._log = log
        self._held: OrderedDict[str, ThreadClaim] = OrderedDict()
        self._binding: _Binding | None = None
        self._turn = asyncio.Lock()

    async def bind(self, thread_id: str, run_id: str, attempt: int) -> None:
        """Claim a thread now, for one attempt of a run, and write it for nobody else.

        Raises:
            CheckpointFencedError: A later attempt has it, or the run was rolled back.
            UnavailableError: The server fell silent; call again.
        """
        self._binding = _Binding(thread_id, run_id, attempt)
        self._held.pop(thread_id, None)
        await self.of(thread_id, run_id)

    def begin(self, thread_id: str) -> None:
        """Note that a run begins: unless the thread is bound, its first write claims anew."""
        if self._bound(thread_id) is None:
            self._held.pop(thread_id, None)

    async def of(self, thread_id: str, run_id: str | None) -> ThreadClaim:
        """Return the claim under which a run writes, taken now if need be.

        Raises:
            CheckpointFencedError: The run may not write the thread any more.
            UnavailableError: The server fell silent; call again.
        """
        async with self._turn:
            bound = self._bound(thread_id)
            wanted, attempt = (run_id, 0) if bound is None else (bound.run_id, bound.attempt)
            claim = self._held.get(thread_id)
            # A call that names no run belongs to the one that writes.
            if claim is None or wanted not in (None, claim.run_id):
                claim = await self._log.claim(thread_id, run_id=wanted, attempt=attempt)
                self._held[thread_id] = claim
                if len(self._held) > _MAX_HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end(thread_id)
            return claim

    def _bound(self, thread_id: str) -> _Binding | None:
        bound = self._binding
        return bound if bound is not None and bound.thread_id == thread_id else None
