"""Read the field ``http`` of a ``langgraph.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from api.config_objects import known_object
from api.http_settings import GROUPS
from api.startup_errors import ConfigFileError

_KNOWN: Final = frozenset({"app", "configurable_headers", "cors", "mount_prefix"})
_DISABLE: Final = "disable_"
#: What the platform serves and nobody here does: it is as good as disabled.
_NEVER_SERVED: Final = frozenset({"a2a", "mcp", "webhooks"})
#: By the platform's name: the setting.
_HEADERS: Final[Mapping[str, str]] = {
    "includes": "header_includes",
    "excludes": "header_excludes",
}
_CORS: Final[Mapping[str, str]] = {
    "allow_origins": "cors_origins",
    "allow_origin_regex": "cors_origin_pattern",
    "allow_methods": "cors_methods",
    "allow_headers": "cors_headers",
    "expose_headers": "cors_exposed_headers",
    "allow_credentials": "cors_credentials",
    "max_age": "cors_max_age_s",
}


def read_http(path: Path, http: object) -> dict[str, Any]:
    """Return the settings of the HTTP side that the field asks for.

    Raises:
        ConfigFileError: It is malformed, or cannot be honoured; the message names what.
    """
    if not isinstance(http, dict):
        raise ConfigFileError(path, "http must be an object")
    if http.get("app"):
        problem = "http.app is not supported: no user code runs beside the gateway; remove it"
        raise ConfigFileError(path, problem)
    asked = {key: http[key] for key in http if not key.startswith(_DISABLE)}
    known_object(path, "http", asked, _KNOWN)
    settings: dict[str, Any] = {"disabled": _disabled(path, http)}
    if http.get("mount_prefix"):
        settings["mount_prefix"] = http["mount_prefix"]
    if http.get("cors"):
        settings |= _cors(path, http["cors"])
    headers = http.get("configurable_headers") or {}
    known_object(path, "http.configurable_headers", headers, _HEADERS.keys())
    settings |= {_HEADERS[name]: each for name, each in headers.items() if each}
    return {"http": settings}


def _disabled(path: Path, http: Mapping[str, Any]) -> list[str]:
    asked = [key.removeprefix(_DISABLE) for key in http if key.startswith(_DISABLE) and http[key]]
    for group in asked:
        if group not in GROUPS and group not in _NEVER_SERVED:
            raise ConfigFileError(path, f"key 'http.disable_{group}' is not supported; remove it")
    return [group for group in asked if group in GROUPS]


def _cors(path: Path, cors: object) -> dict[str, Any]:
    asked = known_object(path, "http.cors", cors, _CORS.keys())
    return {_CORS[name]: each for name, each in asked.items() if each is not None}
