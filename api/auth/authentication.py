"""Reads the credential of a request, and asks whoever knows its kind who the caller is."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from api.auth.api_keys import ApiKey, ApiKeys
from api.auth.caller import Caller
from api.auth.errors import CredentialRefusedError, NotAuthenticatedError
from api.auth.json_web_tokens import TokenVerifier
from api.auth.key_ring import KeyRing
from api.auth.settings import AuthSettings
from api.auth.stream_tokens import StreamTokens, token_of
from api.identity import Authenticate, everybody
from bridge import RunBridge

API_KEY_HEADER: Final = "x-api-key"


class Authentication:
    """Finds out who sent a request.

    Args:
        keys: Knows API keys; ``None``: they are not accepted.
        tokens: Knows tokens; likewise.
        stream_tokens: Knows tokens in URLs.
    """

    def __init__(
        self, keys: KeyRing | None, tokens: TokenVerifier | None, stream_tokens: StreamTokens
    ) -> None:
        self._keys = keys
        self._tokens = tokens
        self._stream_tokens = stream_tokens

    async def caller_of(self, request: web.Request) -> Caller:
        """Return who sent ``request``.

        Raises:
            NotAuthenticatedError: It carries no credential.
            CredentialRefusedError: Its credential is not, or no longer, good.
            UnavailableError: NATS, which knows the API keys, fell silent.
            SigningKeysUnavailableError: The keys that sign tokens cannot be fetched.
        """
        credential = _credential_of(request)
        if credential is None:
            return await self._caller_by_url(request)
        key = ApiKey.find(credential)
        if key is not None and self._keys is not None:
            return await self._keys.caller_of(key)
        if key is None and self._tokens is not None:
            return await self._tokens.caller_of(credential)
        raise CredentialRefusedError("it is of no kind that is accepted here")

    async def _caller_by_url(self, request: web.Request) -> Caller:
        token = token_of(request)
        if token is None:
            raise NotAuthenticatedError
        return await self._stream_tokens.caller_of(token, request)


def authenticate_by(
    settings: AuthSettings, bridge: RunBridge, stream_tokens: StreamTokens
) -> Authenticate:
    """Return what finds out who calls, as the settings say it."""
    if not settings.is_on:
        return everybody
    keys = KeyRing(ApiKeys(bridge), settings) if "api-key" in settings.methods else None
    tokens = TokenVerifier(settings.jwt) if "jwt" in settings.methods else None
    return Authentication(keys, tokens, stream_tokens).caller_of


def _credential_of(request: web.Request) -> str | None:
    """Return the bearer token, or else the API key: SDKs send keys of other services unasked."""
    bearer = _only(request.headers.getall("Authorization", ()), "Authorization")
    scheme, _, token = (bearer or "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return _only(request.headers.getall(API_KEY_HEADER, ()), API_KEY_HEADER)


def _only(values: Sequence[str], header: str) -> str | None:
    if len(values) > 1:
        # A proxy may have judged another one of them than we would.
        raise CredentialRefusedError(f"{header} is there more than once")
    return values[0] if values else None
