"""Create runs for connections that may close at any moment, and notice when they do.

A run whose creation has begun is created whole. Where the creator asked for it, the run is
cancelled when the creator's connection closes; any other reader that leaves disturbs nothing.
"""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp import web

from api.identity import user_of
from api.unattended import UnattendedWork
from bridge import RunRef
from runs import (
    DisconnectMode,
    RunNotCancellableError,
    RunNotFoundError,
    RunRecord,
    RunsFacade,
    RunSpec,
)


class Attachments:
    """Ties runs to the connections that wait for them."""

    def __init__(self, facade: RunsFacade, unattended: UnattendedWork) -> None:
        self._facade = facade
        self._unattended = unattended

    async def create(self, request: web.Request, spec: RunSpec) -> RunRecord:
        """Create a run for a client that goes on to watch it.

        Raises:
            RunsError, BridgeError: As run control says; then nothing was created.
        """
        creating = self._facade.create_background(spec, followed=True)
        creation = self._unattended.begin(creating, "create run")
        try:
            return await asyncio.shield(creation)
        except asyncio.CancelledError:
            self._unattended.detach(creation)
            if spec.on_disconnect is DisconnectMode.CANCEL and _has_left(request):
                self._cancel_unattended(self._cancel_created(creation, spec.user_id))
            raise

    @asynccontextmanager
    async def attached(
        self, request: web.Request, run: RunRef, *, cancels: bool
    ) -> AsyncGenerator[None]:
        """Cancel ``run`` when the client leaves while the body runs, if it ``cancels``."""
        try:
            yield
        except (asyncio.CancelledError, ConnectionError):
            if cancels and _has_left(request):
                self._cancel_unattended(self._cancel(run, user_of(request)))
            raise

    def _cancel_unattended(self, cancel: Coroutine[Any, Any, None]) -> None:
        self._unattended.detach(self._unattended.begin(cancel, "cancel run"))

    async def _cancel_created(self, creation: Awaitable[RunRecord], user_id: str | None) -> None:
        record = await creation
        await self._cancel(RunRef(record.thread_id, record.run_id), user_id)

    async def _cancel(self, run: RunRef, user_id: str | None) -> None:
        # It may have ended by itself in the same moment.
        with suppress(RunNotCancellableError, RunNotFoundError):
            await self._facade.cancel(*run, user_id=user_id)


def _has_left(request: web.Request) -> bool:
    # At the end of the process handlers are cancelled too, with their connections still open.
    return request.transport is None or request.transport.is_closing()
