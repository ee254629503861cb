"""Which JSON Web Tokens are accepted, and what their claims mean here."""

from ipaddress import ip_address
from typing import Annotated, Literal, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, StringConstraints, field_validator, model_validator

from api.auth.caller import USUAL_SCOPES, Scope
from bridge.settings import Seconds, Section

Algorithm: TypeAlias = Literal["HS256", "RS256", "ES256"]
_Name: TypeAlias = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class JwtSettings(Section):
    """Who signs tokens, for whom, and which claims tell who calls."""

    secret: SecretStr | None = Field(None, min_length=32, description="of HS256")
    jwks_url: str | None = Field(None, description="where the public keys of RS256 and ES256 are")
    algorithms: tuple[Algorithm, ...] = Field(
        ("HS256", "RS256", "ES256"), min_length=1, description="accepted, where there is a key"
    )
    audience: _Name | None = Field(None, description="what `aud` must hold")
    issuer: _Name | None = Field(None, description="what `iss` must be; needed with `jwks_url`")
    user_claim: _Name = Field("sub", description="the claim that is the user id")
    role_claim: _Name = Field("role", description="a claim that is a role, or a list of roles")
    operator_role: _Name = Field("operator", description="the role whose callers see everything")
    scope_claim: _Name | None = Field(
        None, description="the claim with scopes; None: every token has `default_scopes`"
    )
    default_scopes: tuple[Scope, ...] = Field(
        USUAL_SCOPES, description="of a token without the claim"
    )
    leeway_s: float = Field(30.0, ge=0, le=600, description="by which clocks may differ")
    jwks_cache_s: Seconds = Field(300.0, description="how long fetched keys are believed")
    jwks_stale_s: Seconds = Field(
        3600.0, description="how long they are used when they cannot be fetched again"
    )
    jwks_min_interval_s: Seconds = Field(10.0, description="between two fetches, at least")
    jwks_timeout_s: float = Field(5.0, gt=0, le=60, description="of one fetch")
    max_jwks_bytes: int = Field(262_144, ge=1024, description="of one answer with keys")

    @field_validator("jwks_url")
    @classmethod
    def _keys_come_over_a_safe_way(cls, url: str | None) -> str | None:
        if url is not None and not _is_safe(url):
            msg = "must be an https URL, or an http one of the loopback address"
            raise ValueError(msg)
        return url

    @model_validator(mode="after")
    def _issuers_are_told_apart(self) -> Self:
        if self.jwks_url is not None and self.issuer is None:
            msg = "jwks_url needs issuer: providers sign with the same keys for all their customers"
            raise ValueError(msg)
        return self


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme != "http":
        return parts.scheme == "https" and bool(parts.hostname)
    try:
        return ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return parts.hostname == "localhost"
