"""What the callers of webhooks can be told, with units in every name."""

from ipaddress import IPv4Network, IPv6Network
from typing import Self

from pydantic import Field, SecretStr, model_validator

from runs import DeliverySettings
from runs.settings import Seconds


class WebhookSettings(DeliverySettings):
    """Which webhooks are called, and how; without a secret none is."""

    secret: SecretStr | None = Field(
        None, min_length=16, description="signs every call; without one webhooks are refused"
    )
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="may be called although they are not public, as 10.1.0.0/16"
    )
    timeout_s: Seconds = Field(10.0, description="of one call, from its start to the answer's head")
    max_body_bytes: int = Field(
        1 << 20, ge=4096, description="of one call; larger final values are left out"
    )

    @model_validator(mode="after")
    def _a_call_ends_before_its_lease(self) -> Self:
        if self.timeout_s >= self.lease_s:
            msg = f"timeout_s ({self.timeout_s:g}) must be less than lease_s ({self.lease_s:g})"
            raise ValueError(msg)
        return self
