"""Hand settings to a child process: through its environment, never through its arguments.

Everyone on the machine can list the arguments of a process; its environment only its owner can.
"""

import json
import os
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from api.settings import Settings
from bridge.settings import ENVIRONMENT_PREFIX


def to_environment(settings: Settings) -> dict[str, str]:
    """Return the variables from which a child process builds the same settings.

    What is None is left out: None is the default wherever it is allowed. The name of the
    configuration file is left out, too, because its content is in the settings already.
    """
    names = ("config",)
    return {
        f"{ENVIRONMENT_PREFIX}{'__'.join(path).upper()}": text
        for path, text in _leaves(settings, ())
        if path != names
    }


def child_environment(settings: Settings) -> dict[str, str]:
    """Return this process's environment with ``settings`` in place of all settings in it."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(ENVIRONMENT_PREFIX)
    }
    return {**kept, **to_environment(settings)}


def _leaves(model: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        elif value is not None:
            yield (*path, name), _text(value)


def _text(value: Any) -> str:
    match _plain(value):
        case str() as text:
            return text
        case plain:
            return json.dumps(plain)


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case Enum():
            return value.value
        case Path():
            return str(value.absolute())
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return {str(key): _plain(inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_plain(inner) for inner in value]
        case _:
            return value
