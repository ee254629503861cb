"""Give the event log a size where none is set: most of what the server can still reserve.

A server that runs full refuses every stream alike, and tells nobody how large it is. It does check,
when a stream is made, that its size can be reserved; so the size is found by asking for less and
less. A quarter of it is then given back, for the streams that have no size of their own.
"""

from collections.abc import Mapping
from typing import Any, Final

from bridge.connection import Connection
from bridge.errors import ApiError
from bridge.publication import FULL

#: What is asked for first. A log whose events leave within minutes needs no more.
_LARGEST: Final = 64 << 30
_SMALLEST: Final = 1 << 20
_STEP: Final = 0.8
_KEPT: Final = 0.75
#: No node of the cluster has so much room, or too few are there.
_NO_PEERS: Final = 10005
_TOO_MUCH: Final = FULL | {_NO_PEERS}
_UNLIMITED: Final = -1


async def create_reserved(connection: Connection, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Make a stream of the size that can be had; of no size where not even 1 MiB can.

    Args:
        connection: An open connection.
        wanted: The stream's configuration, without a size.

    Returns:
        The server's answer, with the configuration that it has.

    Raises:
        ApiError: The server refused the stream for another reason.
        UnavailableError: The server fell silent; call again.
    """
    name, size = wanted["name"], _LARGEST
    while size >= _SMALLEST:
        config = {**wanted, "max_bytes": size}
        try:
            await connection.api(f"$JS.API.STREAM.CREATE.{name}", config)
        except ApiError as error:
            if error.err_code not in _TOO_MUCH:
                raise
            size = int(size * _STEP)
        else:
            kept = {**wanted, "max_bytes": max(_SMALLEST, int(size * _KEPT))}
            return await connection.api(f"$JS.API.STREAM.UPDATE.{name}", kept)
    config = {**wanted, "max_bytes": _UNLIMITED}
    return await connection.api(f"$JS.API.STREAM.CREATE.{name}", config)
