"""Tokens that open one run for reading, for a while: in URLs, where no header can be sent.

A browser's EventSource and a download link carry nothing but their URL, and URLs end up in
histories and logs of proxies. So what stands in one is good for one run, for reading, and not for
long.
"""

import hmac
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

import jwt
from aiohttp import web

from api.auth.caller import Caller, Role, Scope
from api.auth.errors import CredentialRefusedError
from api.auth.permissions import route_of
from api.auth.settings import AuthSettings
from bridge import RunBridge, RunRef, StateConflictError

#: The kind of state record, and its key.
SHARED_SECRET: Final = "shared-secret"  # noqa: S105 - the kind of record, not its content
_STREAM_TOKENS: Final = "stream-tokens"
_SECRET_BYTES: Final = 32

_ALGORITHM: Final = "HS256"
_AUDIENCE: Final = "jetrun-stream"
_CLAIMS: Final = ("aud", "exp", "role", "run_id", "sub", "thread_id")

_RUN: Final = "/threads/{thread_id}/runs/{run_id}"
#: Where a token is looked for in the query; everywhere else it is nothing.
TOKEN_ROUTES: Final = frozenset(
    {f"GET {_RUN}/stream", "GET /runs/{run_id}/stream", f"GET {_RUN}/events.jsonl"}
)


class StreamToken(NamedTuple):
    """A token, and from when on it is refused."""

    text: str
    expires_at: datetime


class StreamTokens:
    """Makes tokens and reads them; all gateways of a log share what signs them.

    Args:
        bridge: Keeps the secret, where the settings have none.
        settings: How long tokens are good.
    """

    def __init__(self, bridge: RunBridge, settings: AuthSettings) -> None:
        self._bridge = bridge
        self._settings = settings
        self._key: bytes | None = None

    async def mint(self, run: RunRef, caller: Caller) -> StreamToken:
        """Make a token by which ``caller`` may read ``run``, which it may see.

        Raises:
            UnavailableError: NATS, which keeps the secret, fell silent.
        """
        expires_at = datetime.now(UTC) + timedelta(seconds=self._settings.stream_token_s)
        claims = {
            "aud": _AUDIENCE,
            "exp": expires_at,
            "role": caller.role.value,
            "run_id": run.run_id,
            "sub": caller.user_id or "",
            "thread_id": run.thread_id,
        }
        return StreamToken(jwt.encode(claims, await self._signer(), _ALGORITHM), expires_at)

    async def caller_of(self, token: str, request: web.Request) -> Caller:
        """Return who may read the run that ``request`` is about.

        Raises:
            CredentialRefusedError: The token is forged, expired, of another run, or the request
                asks for more than reading.
            UnavailableError: NATS, which keeps the secret, fell silent.
        """
        try:
            claims = jwt.decode(
                token,
                await self._signer(),
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                leeway=self._settings.jwt.leeway_s,
                options={"require": list(_CLAIMS)},
            )
        except jwt.ExpiredSignatureError:
            raise CredentialRefusedError("the stream token has expired; mint another one") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise CredentialRefusedError("the stream token is not one of ours") from None
        run = RunRef(claims["thread_id"], claims["run_id"])
        named = request.match_info
        if named["run_id"] != run.run_id or named.get("thread_id", run.thread_id) != run.thread_id:
            raise CredentialRefusedError("the stream token is of another run")
        if "subscription" in request.query:
            raise CredentialRefusedError("a stream token opens no subscription")
        role, scopes = Role(claims["role"]), frozenset({Scope.READ})
        return Caller(claims["sub"] or None, role, scopes, "stream-token", run)

    async def _signer(self) -> bytes:
        if self._key is None:
            given = self._settings.stream_token_secret
            secret = await self._shared() if given is None else given.get_secret_value().encode()
            # Of its own, even where the secret signs other things as well.
            self._key = hmac.digest(secret, b"jetrun stream tokens", sha256)
        return self._key

    async def _shared(self) -> bytes:
        """Return the secret that the first gateway made for all."""
        records = self._bridge.secrets
        while True:
            found = await records.find(SHARED_SECRET, _STREAM_TOKENS)
            if found is not None:
                return found.value
            try:
                await records.create(
                    SHARED_SECRET, _STREAM_TOKENS, secrets.token_bytes(_SECRET_BYTES)
                )
            except StateConflictError:
                continue  # another gateway was first


def token_of(request: web.Request) -> str | None:
    """Return the stream token of a request to a route that takes one."""
    return request.query.get("token") if route_of(request) in TOKEN_ROUTES else None
