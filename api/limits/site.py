"""Serves an application on a socket, with every connection within limits."""

import asyncio
import socket
from collections.abc import Callable
from typing import Any

from aiohttp import web

from api.limits.connection import Connection, ConnectionLimits


class LimitedSite(web.BaseSite):
    """Listens.

    Args:
        runner: Of the application; set up.
        listener: A bound socket.
        limits: Of all connections.
    """

    __slots__ = ("_limits", "_listener")

    def __init__(
        self, runner: web.AppRunner, listener: socket.socket, limits: ConnectionLimits
    ) -> None:
        super().__init__(runner)
        self._listener = listener
        self._limits = limits

    @property
    def name(self) -> str:
        """The address that is listened on."""
        return str(self._listener.getsockname())

    async def start(self) -> None:
        """Take connections from here on."""
        await super().start()
        server = self._runner.server
        if server is None:
            raise RuntimeError("the runner was not set up")
        server.request_factory = _telling_connection(server.request_factory)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(server, self._limits), sock=self._listener, backlog=self._backlog
        )


def _telling_connection(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    """Return what makes a request once its head is complete, and tells its connection."""

    def make_request(message: Any, payload: Any, protocol: Any, *rest: Any) -> web.BaseRequest:
        request = make(message, payload, protocol, *rest)
        if isinstance(protocol, Connection):
            protocol.begin_answer(request)
        return request

    return make_request
