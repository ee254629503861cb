"""Read the field ``webhooks`` of a ``langgraph.json``."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from api.config_objects import known_object
from api.startup_errors import ConfigFileError

_PREFIX: Final = "LG_WEBHOOK_"
_TEMPLATE: Final = re.compile(r"\$\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
#: The platform's rules of URLs, which are settings of the same names.
_RULES: Final = frozenset({"allowed_domains", "allowed_ports", "max_url_length", "require_https"})
_RELATIVE: Final = "disable_loopback"


def read_webhooks(
    path: Path, webhooks: Mapping[str, Any], env: Mapping[str, str]
) -> dict[str, Any]:
    """Return the settings of webhooks that the field asks for.

    Args:
        path: The file.
        webhooks: The field.
        env: The variables that the file sets; those of this process go before them.

    Raises:
        ConfigFileError: It is malformed, or cannot be honoured; the message names what.
    """
    rules = known_object(path, "webhooks.url", webhooks.get("url") or {}, _RULES | {_RELATIVE})
    headers = webhooks.get("headers") or {}
    if not isinstance(headers, dict):
        raise ConfigFileError(path, "webhooks.headers must be an object")
    if rules.get(_RELATIVE) is False:
        problem = f"webhooks.url.{_RELATIVE} is always true here: URLs must be whole; remove it"
        raise ConfigFileError(path, problem)
    settings = {name: each for name, each in rules.items() if name in _RULES and each}
    if headers:
        prefix = webhooks.get("env_prefix", _PREFIX)
        settings["headers"] = {
            name: _filled(path, name, value, str(prefix), {**env, **os.environ})
            for name, value in headers.items()
        }
    return settings


def _filled(path: Path, name: str, value: object, prefix: str, env: Mapping[str, str]) -> str:
    if not isinstance(value, str):
        raise ConfigFileError(path, f"webhooks.headers.{name} must be a string")

    def content_of(found: re.Match[str]) -> str:
        variable = found[1]
        if not variable.startswith(prefix):
            problem = f"webhooks.headers.{name}: the variable {variable} must begin with {prefix}"
            raise ConfigFileError(path, problem)
        if variable not in env:
            raise ConfigFileError(path, f"webhooks.headers.{name}: {variable} is not set")
        return env[variable]

    return _TEMPLATE.sub(content_of, value)
