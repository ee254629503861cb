"""How requests are authenticated, with units in every name."""

from typing import Literal, TypeAlias

from pydantic import Field

from bridge.settings import Seconds, Section

AuthMethod: TypeAlias = Literal["api-key"]


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

    @property
    def is_on(self) -> bool:
        """Whether requests are authenticated at all."""
        return bool(self.methods)
