"""Read objects in configuration files, of which every key is known or refused."""

from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from api.startup_errors import ConfigFileError


def known_object(path: Path, name: str, value: object, known: AbstractSet[str]) -> dict[str, Any]:
    """Return a value that is an object with known keys.

    Args:
        path: The file that it stands in.
        name: Where it stands there, for people.
        value: What stands there.
        known: The keys that it may have.

    Raises:
        ConfigFileError: It is no object, or has another key; the message names that.
    """
    if not isinstance(value, dict):
        raise ConfigFileError(path, f"{name} must be an object")
    unknown = value.keys() - known
    if unknown:
        raise ConfigFileError(path, f"key '{name}.{min(unknown)}' is not supported; remove it")
    return value
