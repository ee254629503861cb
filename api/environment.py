"""Hand settings to a child process: through its environment, never through its arguments.

Everyone on the machine can list the arguments of a process; its environment only its owner can.
"""

import json
import os
from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

from pydantic import BaseModel, SecretStr

from api.auth.settings import AuthSettings
from api.settings import Settings
from api.webhooks.settings import WebhookSettings
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


def environment_without_gateways(settings: Settings) -> dict[str, str]:
    """Return the environment of a worker or sink: without what signs webhooks and tokens.

    User code runs in workers.
    """
    of_gateways = {"webhooks": WebhookSettings(), "auth": AuthSettings()}
    return child_environment(settings.model_copy(update=of_gateways))


def _leaves(model: BaseModel, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, (*path, name))
        elif value is not None:
            yield (*path, name), _text(value)


def _text(value: object) -> str:
    plain = _plain(value)
    return str(plain) if isinstance(plain, str) else json.dumps(plain, default=_plain)


def _plain(value: object) -> object:
    match value:
        case SecretStr():
            return value.get_secret_value()
        case IPv4Network() | IPv6Network():
            return str(value)
        case Path():
            return str(value.absolute())
        case BaseModel():
            return dict(value)
        case _:
            return value
