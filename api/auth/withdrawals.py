"""Ends open streams whose credential was taken back: a key that was revoked, rotated or expired."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web

from api.auth.errors import CredentialRefusedError
from api.open_streams import OpenStreams
from bridge import BridgeError
from runs import UnreadableRecordError


class Withdrawals:
    """Looks at the credentials of open streams again and again.

    Args:
        streams: The streams.
        every_s: Seconds between two looks.
    """

    def __init__(self, streams: OpenStreams, every_s: float) -> None:
        self._streams = streams
        self._every_s = every_s

    async def looking(self, _: web.Application) -> AsyncIterator[None]:
        """Look for as long as the application is served."""
        task = asyncio.create_task(self._look(), name="withdrawals")
        yield
        task.cancel()

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            for caller in self._streams.callers:
                if caller.recheck is None:
                    continue
                try:
                    await caller.recheck()
                except CredentialRefusedError:
                    self._streams.end_of(caller)
                except (BridgeError, UnreadableRecordError):
                    # NATS is away, or a newer version wrote the key: nobody is cut off for it, and
                    # the other credentials are looked at all the same.
                    pass
                # Keys are remembered, so many looks in a row would not let go of the loop.
                await asyncio.sleep(0)
