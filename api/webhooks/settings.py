"""What the callers of webhooks can be told, with units in every name."""

from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Final, Self, TypeAlias

from pydantic import Field, SecretStr, field_validator, model_validator

from api.header_names import HeaderName
from api.webhooks.url_rules import MAX_URL, UrlRules
from runs import DeliverySettings
from runs.settings import Seconds

Port: TypeAlias = Annotated[int, Field(ge=1, le=65_535)]
_OUR_HEADERS: Final = frozenset({"content-length", "content-type", "host", "transfer-encoding"})


class WebhookSettings(DeliverySettings):
    """Which webhooks are called, and how; without a secret none is."""

    secret: SecretStr | None = Field(
        None, min_length=16, description="signs every call; without one webhooks are refused"
    )
    allowed_networks: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="may be called although they are not public, as 10.1.0.0/16"
    )
    require_https: bool = Field(default=False, description="whether http:// is refused")
    allowed_domains: tuple[str, ...] = Field(
        (), description="hosts that may be called, or *.domain for those below it; none: any"
    )
    allowed_ports: tuple[Port, ...] = Field((), description="that may be called; none: any")
    max_url_length: int = Field(MAX_URL, ge=1, le=MAX_URL, description="characters")
    headers: dict[HeaderName, SecretStr] = Field(
        default_factory=dict, description="sent with every call"
    )
    timeout_s: Seconds = Field(10.0, description="of one call, from its start to the answer's head")
    max_body_bytes: int = Field(
        1 << 20, ge=4096, description="of one call; larger final values are left out"
    )

    @property
    def rules(self) -> UrlRules:
        """What is demanded of URLs."""
        return UrlRules(
            self.require_https, self.allowed_domains, self.allowed_ports, self.max_url_length
        )

    @field_validator("headers")
    @classmethod
    def _are_not_ours(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, content in value.items():
            if name.lower() in _OUR_HEADERS or name.lower().startswith("jetrun-"):
                msg = f"the header {name} is set by jetrun"
                raise ValueError(msg)
            if not content.get_secret_value().isprintable():
                msg = f"the header {name} must be one line of printable characters"
                raise ValueError(msg)
        return value

    @model_validator(mode="after")
    def _a_call_ends_before_its_lease(self) -> Self:
        if self.timeout_s >= self.lease_s:
            msg = f"timeout_s ({self.timeout_s:g}) must be less than lease_s ({self.lease_s:g})"
            raise ValueError(msg)
        return self
