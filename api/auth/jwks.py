"""The public keys of those who sign tokens, fetched from where they publish them.

Keys change while we run: a key id that is not known has them fetched anew, but never more often
than ``jwks_min_interval_s``, whatever clients send.
"""

import asyncio
import json
import logging
from typing import Final

import aiohttp
from jwt import PyJWK, PyJWKSet, PyJWTError

from api.auth.errors import SigningKeysUnavailableError
from api.auth.jwt_settings import JwtSettings

_LOG = logging.getLogger(__name__)
_CHUNK_BYTES: Final = 64 << 10
_MAX_KEYS: Final = 64


class SigningKeys:
    """The keys of one provider.

    Args:
        url: Where they are.
        settings: How often they are fetched, and how long they are believed.
    """

    def __init__(self, url: str, settings: JwtSettings) -> None:
        self._url = url
        self._settings = settings
        self._keys: list[PyJWK] = []
        self._fetched_at: float | None = None
        self._tried_at: float | None = None
        self._fetching = asyncio.Lock()

    async def find(self, key_id: object, algorithm: str) -> PyJWK | None:
        """Return the key that signs tokens with this header.

        Args:
            key_id: ``kid`` of the token; without one the only key of the algorithm is meant.
            algorithm: ``alg`` of the token.

        Raises:
            SigningKeysUnavailableError: No keys are known, or only ones too old to be believed.
        """
        key = self._pick(key_id, algorithm)
        is_fresh = self._age_s() < self._settings.jwks_cache_s
        is_usable = self._age_s() < self._settings.jwks_stale_s
        # One request fetches; the others need not wait for it while they have a key.
        if key is not None and (is_fresh or (is_usable and self._fetching.locked())):
            return key
        async with self._fetching:
            if self._may_fetch():
                await self._fetch()
        if self._age_s() >= self._settings.jwks_stale_s:
            raise SigningKeysUnavailableError
        return self._pick(key_id, algorithm)

    def _pick(self, key_id: object, algorithm: str) -> PyJWK | None:
        fitting = [key for key in self._keys if key.algorithm_name == algorithm]
        if key_id is None:
            return fitting[0] if len(fitting) == 1 else None
        return next((key for key in fitting if key.key_id == key_id), None)

    def _age_s(self) -> float:
        if self._fetched_at is None:
            return float("inf")
        return asyncio.get_running_loop().time() - self._fetched_at

    def _may_fetch(self) -> bool:
        now = asyncio.get_running_loop().time()
        return self._tried_at is None or now - self._tried_at >= self._settings.jwks_min_interval_s

    async def _fetch(self) -> None:
        """Fetch the keys; what goes wrong is logged, and the keys of before stay."""
        self._tried_at = began = asyncio.get_running_loop().time()
        try:
            self._keys = _signing_keys(await self._download())
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError, PyJWTError) as error:
            _LOG.warning("auth.jwks_failed", extra={"error": type(error).__name__})
        else:
            self._fetched_at = began

    async def _download(self) -> bytes:
        timeout = aiohttp.ClientTimeout(total=self._settings.jwks_timeout_s)
        async with (
            aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session,
            session.get(self._url, allow_redirects=False) as response,
        ):
            body = bytearray()
            async for chunk in response.content.iter_chunked(_CHUNK_BYTES):
                body += chunk
                if len(body) > self._settings.max_jwks_bytes:
                    msg = "the answer is too large"
                    raise ValueError(msg)
            return bytes(body)


def _signing_keys(document: bytes) -> list[PyJWK]:
    content = json.loads(document)
    keys = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(keys, list):
        msg = "no JWK set"
        raise ValueError(msg)  # noqa: TRY004 - of the document, not of an argument
    wanted = [
        key
        for key in keys[:_MAX_KEYS]
        # No keys that encrypt, and no published secrets: every reader could sign with them.
        if isinstance(key, dict) and key.get("use", "sig") == "sig" and key.get("kty") != "oct"
    ]
    return PyJWKSet(wanted).keys
