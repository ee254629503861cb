"""Read the field ``http`` of a ``langgraph.json``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from api.http_settings import GROUPS
from api.startup_errors import ConfigFileError

_KNOWN: Final = frozenset({"app", "configurable_headers", "cors", "mount_prefix"})
_DISABLE: Final = "disable_"
#: What the platform serves and nobody here does: it is as good as disabled.
_NEVER_SERVED: Final = frozenset({"a2a", "mcp", "webhooks"})
_CORS_LISTS: Final = frozenset({"allow_headers", "allow_methods"})


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
    unknown = {key for key in http if key not in _KNOWN and not key.startswith(_DISABLE)}
    if unknown:
        raise ConfigFileError(path, f"key 'http.{min(unknown)}' is not supported; remove it")
    settings: dict[str, Any] = {"disabled": _disabled(path, http)}
    if http.get("mount_prefix"):
        settings["mount_prefix"] = http["mount_prefix"]
    if http.get("cors"):
        settings["cors_origins"] = _origins(path, http["cors"])
    headers = http.get("configurable_headers") or {}
    for name, setting in (("includes", "header_includes"), ("excludes", "header_excludes")):
        if headers.get(name):
            settings[setting] = headers[name]
    return {"http": settings}


def _disabled(path: Path, http: Mapping[str, Any]) -> list[str]:
    asked = [key.removeprefix(_DISABLE) for key in http if key.startswith(_DISABLE) and http[key]]
    for group in asked:
        if group not in GROUPS and group not in _NEVER_SERVED:
            raise ConfigFileError(path, f"key 'http.disable_{group}' is not supported; remove it")
    return [group for group in asked if group in GROUPS]


def _origins(path: Path, cors: object) -> list[str]:
    if not isinstance(cors, dict):
        raise ConfigFileError(path, "http.cors must be an object")
    for name, value in cors.items():
        # All methods and headers are allowed to the pages of an allowed origin.
        if name == "allow_origins" or (name in _CORS_LISTS and "*" in value) or not value:
            continue
        raise ConfigFileError(path, f"key 'http.cors.{name}' is not supported; remove it")
    return list(cors.get("allow_origins") or [])
