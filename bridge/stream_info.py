"""What JetStream says of a stream, for all who look at streams instead of reading them."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.connection import Connection
from bridge.errors import ApiError, JetStreamDisabledError

_NOT_FOUND: Final = 10059
_NOT_ENABLED: Final = frozenset({10076, 10039, 10035})


async def find_stream(connection: Connection, name: str) -> dict[str, Any] | None:
    """Return what the leader says of a stream; ``None`` when there is none.

    Raises:
        JetStreamDisabledError: The account has no JetStream.
        ApiError: JetStream refuses to answer.
        UnavailableError: The server fell silent.
    """
    try:
        return await connection.api(f"$JS.API.STREAM.INFO.{name}")
    except ApiError as error:
        if error.err_code in _NOT_ENABLED:
            raise JetStreamDisabledError(error.description) from error
        if error.err_code != _NOT_FOUND:
            raise
        return None


def limit_of(value: int) -> int | None:
    """Return a limit of a stream as we write it: ``None`` where there is none."""
    return value if value > 0 else None


def current_replicas(info: Mapping[str, Any]) -> int:
    """Return how many servers are there and have all of a stream, from what the leader says."""
    return 1 + sum(_is_current(peer) for peer in _followers(info))


def lagging_servers(info: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the servers whose copy of a stream is away or not current."""
    return tuple(peer["name"] for peer in _followers(info) if not _is_current(peer))


def _followers(info: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return (info.get("cluster") or {}).get("replicas") or ()


def _is_current(peer: Mapping[str, Any]) -> bool:
    return bool(peer.get("current")) and not peer.get("offline")
