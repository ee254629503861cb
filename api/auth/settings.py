"""How requests are authenticated, with units in every name."""

from typing import Literal, Self, TypeAlias

from pydantic import Field, SecretStr, model_validator

from api.auth.jwt_settings import JwtSettings
from bridge.settings import Seconds, Section

AuthMethod: TypeAlias = Literal["api-key", "jwt"]


class AuthSettings(Section):
    """Which credentials are accepted; with no method everybody is an operator."""

    methods: tuple[AuthMethod, ...] = Field(
        (), description="credentials that are accepted; none: requests are not authenticated"
    )
    key_cache_s: Seconds = Field(
        5.0, le=300, description="how long a gateway believes what it read of an API key"
    )
    max_cached_keys: int = Field(10_000, ge=1, description="API keys that a gateway remembers")
    max_key_lookups: int = Field(
        32, ge=1, description="API keys that a gateway reads from NATS at one time"
    )
    recheck_s: Seconds = Field(
        10.0, le=3600, description="how often the credentials of open streams are looked at again"
    )
    stream_token_s: float = Field(
        900.0, ge=1, le=86_400, description="how long a token for one run's stream is good"
    )
    stream_token_secret: SecretStr | None = Field(
        None, min_length=32, description="signs them; None: one that gateways share on NATS"
    )
    jwt: JwtSettings = JwtSettings()

    @model_validator(mode="after")
    def _tokens_can_be_verified(self) -> Self:
        jwt = self.jwt
        if "jwt" in self.methods and (jwt.audience is None or not (jwt.secret or jwt.jwks_url)):
            msg = "the method jwt needs jwt.audience, and jwt.secret or jwt.jwks_url"
            raise ValueError(msg)
        return self

    @property
    def is_on(self) -> bool:
        """Whether requests are authenticated at all."""
        return bool(self.methods)
