"""What one gateway knows of API keys: each is read at most once in ``key_cache_s``.

That is also how long a revoked key can still be used. Unknown ids are remembered, too.
"""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from api.auth.api_keys import ApiKey, ApiKeyRecord, ApiKeys
from api.auth.caller import Caller
from api.auth.errors import CredentialRefusedError
from api.auth.settings import AuthSettings

#: The same for all causes: what is wrong with a key is nothing for those who try some.
_REASON: Final = "the API key is unknown, revoked, expired or wrong"


class KeyRing:
    """Finds out who calls with an API key.

    Args:
        keys: The keys that exist.
        settings: How much is remembered, and for how long.
    """

    def __init__(self, keys: ApiKeys, settings: AuthSettings) -> None:
        self._keys = keys
        self._ttl_s = settings.key_cache_s
        self._max_known = settings.max_cached_keys
        # Ids that nobody has are cheap to invent: they must not fill the connection to NATS.
        self._lookups = asyncio.Semaphore(settings.max_key_lookups)
        self._known: dict[str, tuple[ApiKeyRecord | None, float]] = {}

    async def caller_of(self, key: ApiKey) -> Caller:
        """Return who calls with ``key``.

        Raises:
            CredentialRefusedError: It is not, or no longer, good.
            UnavailableError: NATS fell silent, and the key is not remembered.
        """
        record = self._remembered(key.key_id) or await self._look_up(key.key_id)
        found = record[0]
        if found is None or not found.admits(key, datetime.now(UTC)):
            raise CredentialRefusedError(_REASON)
        return replace(found.caller(key.key_id), recheck=partial(self.caller_of, key))

    async def _look_up(self, key_id: str) -> tuple[ApiKeyRecord | None, float]:
        async with self._lookups:
            remembered = self._remembered(key_id)  # by whoever was before us
            if remembered is not None:
                return remembered
            # The time counts from the question: the answer may be as old as that.
            until = asyncio.get_running_loop().time() + self._ttl_s
            entry = (await self._keys.find(key_id), until)
        self._known.pop(key_id, None)
        while len(self._known) >= self._max_known:
            del self._known[next(iter(self._known))]
        self._known[key_id] = entry
        return entry

    def _remembered(self, key_id: str) -> tuple[ApiKeyRecord | None, float] | None:
        entry = self._known.get(key_id)
        return entry if entry and entry[1] > asyncio.get_running_loop().time() else None
