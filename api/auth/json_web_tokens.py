"""Callers that prove who they are by a JSON Web Token of somebody whom the gateway trusts.

The token says by which algorithm it is signed, and is not believed: the algorithm must be allowed,
and each kind has keys of its own, so that a public key is never taken for a shared secret.
"""

from typing import Any, Final

import jwt
from pydantic import TypeAdapter, ValidationError

from api.auth.caller import Caller, Role, Scope, UserId
from api.auth.errors import CredentialRefusedError
from api.auth.jwks import SigningKeys
from api.auth.jwt_settings import JwtSettings

_USER_ID: Final[TypeAdapter[str]] = TypeAdapter(UserId)


class TokenVerifier:
    """Finds out who calls with a token.

    Args:
        settings: Whose tokens are accepted; ``audience`` is set.
    """

    def __init__(self, settings: JwtSettings) -> None:
        self._settings = settings
        url = settings.jwks_url
        self._keys = None if url is None else SigningKeys(url, settings)

    async def caller_of(self, token: str) -> Caller:
        """Return who calls with ``token``.

        Raises:
            CredentialRefusedError: It is no token, forged, expired, for others, or names no user.
            SigningKeysUnavailableError: The keys that could have signed it cannot be fetched.
        """
        claims = await self._claims_of(token)
        try:
            user_id = _USER_ID.validate_python(claims[self._settings.user_claim])
        except ValidationError:
            raise CredentialRefusedError(
                "its user id is not 1 to 128 printable characters"
            ) from None
        roles = _words(claims.get(self._settings.role_claim))
        role = Role.OPERATOR if self._settings.operator_role in roles else Role.USER
        until = int(claims["exp"]) + self._settings.leeway_s
        return Caller(user_id, role, self._scopes_of(claims), "jwt", good_until=until)

    async def _claims_of(self, token: str) -> dict[str, Any]:
        settings = self._settings
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise CredentialRefusedError("it is of no kind that is accepted here") from None
        algorithm = header.get("alg")
        if algorithm not in settings.algorithms:
            raise CredentialRefusedError("its algorithm is not accepted here")
        key = await self._key_of(algorithm, header.get("kid"))
        required = ["exp", "aud", settings.user_claim, *(["iss"] if settings.issuer else [])]
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=settings.audience,
                issuer=settings.issuer,
                leeway=settings.leeway_s,
                options={"require": required},
            )
        except jwt.ExpiredSignatureError:
            raise CredentialRefusedError("it has expired") from None
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise CredentialRefusedError("its signature or its claims are not right") from None

    async def _key_of(self, algorithm: str, key_id: object) -> jwt.PyJWK | bytes:
        key: jwt.PyJWK | bytes | None = None
        if algorithm == "HS256":
            secret = self._settings.secret
            key = None if secret is None else secret.get_secret_value().encode()
        elif self._keys is not None:
            key = await self._keys.find(key_id, algorithm)
        if key is None:
            raise CredentialRefusedError("nobody who is known here can have signed it")
        return key

    def _scopes_of(self, claims: dict[str, Any]) -> frozenset[Scope]:
        name = self._settings.scope_claim
        if name is None or name not in claims:
            return frozenset(self._settings.default_scopes)
        return frozenset(scope for scope in Scope if scope in _words(claims[name]))


def _words(claim: object) -> list[str]:
    """Return the words of a claim that is a string or a list of strings."""
    if isinstance(claim, str):
        return claim.split()
    return [each for each in claim if isinstance(each, str)] if isinstance(claim, list) else []
