"""Who may connect to a server that runs with ``nats.conf``, and with which passwords."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from pydantic import SecretStr


class NatsUser(StrEnum):
    """The users beside the operator, each with the permissions of its role."""

    GATEWAY = "gateway"
    WORKER = "worker"
    SINK = "sink"
    ANALYTICS = "analytics"


@dataclass(frozen=True)
class ServerPasswords:
    """The passwords of one server, or of all nodes of a cluster.

    Attributes:
        operator: Of the user who may do everything.
        routes: By which the nodes of a cluster know each other.
        users: Of the others.
    """

    operator: SecretStr
    routes: SecretStr
    users: Mapping[NatsUser, SecretStr]

    @classmethod
    def make(cls, operator: SecretStr | None = None) -> Self:
        """Make passwords that nobody can guess.

        Args:
            operator: The operator's; ``None`` makes it as well.
        """
        users = {user: _make() for user in NatsUser}
        return cls(operator or _make(), _make(), users)


def _make() -> SecretStr:
    return SecretStr(secrets.token_urlsafe(32))
