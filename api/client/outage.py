"""How long, and how often, a gateway that does not answer is asked again."""

import asyncio
import time
from typing import Final

from api.client.errors import GatewayRequestError

#: Three heartbeats of the gateway: more silence than that is a dead connection.
SILENCE_S: Final = 15.0
OUTAGE_BUDGET_S: Final = 30.0
CONNECT_TIMEOUT_S: Final = 5.0

_FIRST_PAUSE_S: Final = 0.05
_MAX_PAUSE_S: Final = 2.0
_RETRIED_STATUSES: Final = frozenset({408, 429})
_SERVER_ERRORS: Final = range(500, 600)


def is_passing(status: int) -> bool:
    """Return whether an answer with this status may be another one soon."""
    return status in _RETRIED_STATUSES or status in _SERVER_ERRORS


class Outage:
    """Pauses between attempts, longer and longer, until the budget is used up.

    Args:
        budget_s: Seconds without a sign of life after which it is given up.
    """

    def __init__(self, budget_s: float) -> None:
        self._budget_s = budget_s
        self._pause_s = _FIRST_PAUSE_S
        self._began: float | None = None

    @property
    def is_known(self) -> bool:
        """Whether an attempt has failed since the last sign of life."""
        return self._began is not None

    def is_over(self) -> None:
        """Start anew: the gateway gave a sign of life, an event or a heartbeat."""
        self._began = None
        self._pause_s = _FIRST_PAUSE_S

    async def pause(self, url: str, reason: str) -> None:
        """Wait before the next attempt.

        Raises:
            GatewayRequestError: The budget is used up.
        """
        now = time.monotonic()
        self._began = self._began if self._began is not None else now
        if now - self._began > self._budget_s:
            budget = f"no sign of life for {self._budget_s:g} s"
            raise GatewayRequestError(url, f"{budget}, last reason: {reason}")
        await asyncio.sleep(self._pause_s)
        self._pause_s = min(self._pause_s * 2, _MAX_PAUSE_S)
