"""Share the rounds between processes: each shard is visited by one of them.

A claim is a hint that saves work. Two processes that visit the same shard do no harm.
"""

from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

import orjson

from bridge.coordination import StateRecord, StateRecords
from bridge.errors import StateConflictError

SWEEP: Final = "sweep"
#: Rounds without a visit after which another process takes a shard over.
_MISSED_ROUNDS: Final = 3


class ShardClaims:
    """The claims of one process.

    Args:
        states: The records that processes agree on.
        interval_s: Seconds between two visits of a shard.
    """

    def __init__(self, states: StateRecords, interval_s: float) -> None:
        self._states = states
        self._patience_s = interval_s * _MISSED_ROUNDS
        self._owner = uuid4().hex[:12]

    async def claim(self, shard: str) -> bool:
        """Return whether this process is to visit a shard now.

        Raises:
            UnavailableError: The server fell silent.
        """
        key = f"shard-{shard}"
        found = await self._states.find(SWEEP, key)
        if found is not None and not self._may_take(found):
            return False
        value = orjson.dumps({"owner": self._owner, "at": datetime.now(UTC).timestamp()})
        try:
            if found is None:
                await self._states.create(SWEEP, key, value)
            else:
                await self._states.update(SWEEP, key, value, revision=found.revision)
        except StateConflictError:
            return False  # another process was quicker
        return True

    def _may_take(self, found: StateRecord) -> bool:
        claim = orjson.loads(found.value)
        age_s = datetime.now(UTC).timestamp() - claim["at"]
        return claim["owner"] == self._owner or not 0 <= age_s < self._patience_s
