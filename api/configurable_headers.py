"""Let runs see headers of the request that created them, where the operator says so."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Any, Final

from api.http_settings import HttpSettings

#: The configuration of a run is stored and shown: what proves who calls is not for it.
_CREDENTIALS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key"})


def with_headers(
    config: Mapping[str, Any], headers: Mapping[str, str], settings: HttpSettings
) -> dict[str, Any]:
    """Return a run's configuration with the headers in ``configurable``, by their lower names.

    What the body says itself stays.
    """
    seen = {name.lower(): value for name, value in headers.items()}
    chosen = {
        name: value
        for name, value in seen.items()
        if _is_meant(name, settings.header_includes) and not _fits(name, settings.header_excludes)
    }
    configurable = {**chosen, **(config.get("configurable") or {})}
    return {**config, "configurable": configurable} if configurable else dict(config)


def _is_meant(name: str, patterns: tuple[str, ...]) -> bool:
    """Return whether a header is included; a credential only by its own name, never by ``*``."""
    return name in patterns if name in _CREDENTIALS else _fits(name, patterns)


def _fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern.lower()) for pattern in patterns)
