"""API keys: who has one, what it allows, and proofs of it that cannot be turned back into it.

A key is ``jrk_{id}_{secret}``. The id finds its record; the secret is 256 random bits, of which the
record holds the SHA-256. (A slow hash protects secrets that can be guessed; these cannot.)
"""

import hmac
import re
import secrets
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Final, NamedTuple

from pydantic import AwareDatetime, Field

from api.auth.caller import Caller, Role, Scope, UserId
from api.auth.errors import ApiKeyNotFoundError
from bridge import RunBridge, check_id
from runs.models import Frozen

#: The kind of state record.
API_KEY: Final = "api-key"
_SECRET_BYTES: Final = 32
_FORM: Final = re.compile(r"jrk_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


class ApiKey(NamedTuple):
    """What a client sends, taken apart."""

    key_id: str
    secret: str

    def __str__(self) -> str:
        return f"jrk_{self.key_id}_{self.secret}"

    def __repr__(self) -> str:
        """Return it without the secret: representations end up in logs."""
        return f"ApiKey({self.key_id!r})"

    @property
    def digest(self) -> str:
        """What is stored of the secret."""
        return sha256(self.secret.encode()).hexdigest()

    @classmethod
    def make(cls, key_id: str | None = None) -> "ApiKey":
        """Make a key that nobody can guess, with a new id or another secret for an old one."""
        return cls(key_id or secrets.token_hex(8), secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def find(cls, text: str) -> "ApiKey | None":
        """Return the key that ``text`` is, or ``None`` when it is something else."""
        found = _FORM.fullmatch(text)
        return None if found is None else cls(*found.groups())


class ApiKeyGrant(Frozen):
    """What the holder of a key is and may do.

    Attributes:
        name: What people call it.
        user_id: Whose it is; an operator's may be nobody's.
        role: Whose objects it shows.
        scopes: What it allows.
        expires_at: From when on it is refused; ``None``: never.
    """

    name: str = Field(max_length=128)
    user_id: UserId | None
    role: Role
    scopes: tuple[Scope, ...] = Field(min_length=1)
    expires_at: AwareDatetime | None


class StoredSecret(Frozen):
    """One secret of a key; while a key is rotated it has two.

    Attributes:
        digest: SHA-256 of the secret.
        expires_at: From when on it is refused; ``None``: when its key is.
    """

    digest: str
    expires_at: AwareDatetime | None = None


class ApiKeyRecord(Frozen):
    """What is stored of a key; nobody can make the key of it."""

    grant: ApiKeyGrant
    secrets: tuple[StoredSecret, ...]
    created_at: AwareDatetime

    def admits(self, key: ApiKey, now: datetime) -> bool:
        """Return whether ``key`` is one of this record's, and not expired."""
        if _is_over(self.grant.expires_at, now):
            return False
        return any(
            hmac.compare_digest(each.digest, key.digest) and not _is_over(each.expires_at, now)
            for each in self.secrets
        )

    def caller(self, key_id: str) -> Caller:
        """Return who calls with this key."""
        grant = self.grant
        return Caller(grant.user_id, grant.role, frozenset(grant.scopes), f"key:{key_id}")


class ApiKeys:
    """The keys that exist: state records, so that all gateways know them at once."""

    def __init__(self, bridge: RunBridge) -> None:
        self._bridge = bridge

    async def create(self, grant: ApiKeyGrant) -> ApiKey:
        """Make a key; its secret is returned here and can never be read again.

        Raises:
            UnavailableError: NATS fell silent; an unusable key may have been stored.
        """
        key = ApiKey.make()
        now = datetime.now(UTC)
        record = ApiKeyRecord(
            grant=grant, secrets=(StoredSecret(digest=key.digest),), created_at=now
        )
        await self._bridge.secrets.create(API_KEY, key.key_id, record.encode())
        return key

    async def find(self, key_id: str) -> ApiKeyRecord | None:
        """Return what is stored of a key, or ``None``: it never existed, or was revoked."""
        found = await self._bridge.secrets.find(API_KEY, key_id)
        return None if found is None else ApiKeyRecord.decode(found.value)

    async def list(self) -> dict[str, ApiKeyRecord]:
        """Return all keys by their ids, expired ones too."""
        keys = await self._bridge.secrets.keys(API_KEY)
        found = await self._bridge.secrets.find_many(API_KEY, keys)
        return {each.key: ApiKeyRecord.decode(each.value) for each in found}

    async def rotate(self, key_id: str, overlap: timedelta) -> ApiKey:
        """Give a key another secret; the newest one before it stays good for ``overlap``.

        Raises:
            ApiKeyNotFoundError: There is no such key.
            StateConflictError: It was changed meanwhile; nothing was stored, call again.
        """
        found = await self._bridge.secrets.find(API_KEY, check_id("api_key_id", key_id))
        if found is None:
            raise ApiKeyNotFoundError(key_id)
        record = ApiKeyRecord.decode(found.value)
        key = ApiKey.make(key_id)
        until = datetime.now(UTC) + overlap
        old = record.secrets[0].model_copy(update={"expires_at": until})
        changes = {"secrets": (StoredSecret(digest=key.digest), old)}
        value = record.model_copy(update=changes).encode()
        await self._bridge.secrets.update(API_KEY, key_id, value, revision=found.revision)
        return key

    async def revoke(self, key_id: str) -> None:
        """Remove a key for good; gateways refuse it within ``auth.key_cache_s``.

        Raises:
            ApiKeyNotFoundError: There is no such key.
            StateConflictError: It was changed meanwhile; it still exists, call again.
        """
        found = await self._bridge.secrets.find(API_KEY, check_id("api_key_id", key_id))
        if found is None:
            raise ApiKeyNotFoundError(key_id)
        await self._bridge.secrets.delete(API_KEY, key_id, revision=found.revision)


def _is_over(instant: datetime | None, now: datetime) -> bool:
    return instant is not None and instant <= now
