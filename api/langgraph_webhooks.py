"""Read the field ``webhooks`` of a ``langgraph.json``."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from api.startup_errors import ConfigFileError

_PREFIX: Final = "LG_WEBHOOK_"
_TEMPLATE: Final = re.compile(r"\$\{\{\s*env\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
#: By the platform's name of a rule of URLs: the setting that is the same.
_RULES: Final[Mapping[str, str]] = {
    "require_https": "require_https",
    "allowed_domains": "allowed_domains",
    "allowed_ports": "allowed_ports",
    "max_url_length": "max_url_length",
}
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
    rules = webhooks.get("url") or {}
    headers = webhooks.get("headers") or {}
    for name, value in (("url", rules), ("headers", headers)):
        if not isinstance(value, dict):
            raise ConfigFileError(path, f"webhooks.{name} must be an object")
    unknown = rules.keys() - _RULES.keys() - {_RELATIVE}
    if unknown:
        raise ConfigFileError(
            path, f"key 'webhooks.url.{min(unknown)}' is not supported; remove it"
        )
    if rules.get(_RELATIVE) is False:
        problem = f"webhooks.url.{_RELATIVE} is always true here: URLs must be whole; remove it"
        raise ConfigFileError(path, problem)
    settings = {_RULES[name]: each for name, each in rules.items() if name in _RULES and each}
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
