"""Go round the shards of the log for ever, at an even pace: each one once in an interval."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

from bridge.beside import beside
from bridge.errors import BridgeError
from bridge.ids import SHARDS, shard_token

_LOG = logging.getLogger("jetrun.retention")

Visit = Callable[[str], Awaitable[None]]


@asynccontextmanager
async def going_round(visit: Visit, interval_s: float) -> AsyncGenerator[None]:
    """Visit all shards within each interval, for the length of a context.

    A step costs its share of the runs, a 64th, and the steps are spread over the interval. Each
    process begins somewhere else. A visit that fails is logged, and made again in the next round.

    Args:
        visit: Looks at one shard.
        interval_s: Seconds for one round.
    """
    async with beside(_go_round(visit, interval_s), "retention"):
        yield


async def _go_round(visit: Visit, interval_s: float) -> None:
    number = random.randrange(SHARDS)  # noqa: S311 - only spreads the processes
    while True:
        await asyncio.sleep(interval_s / SHARDS)
        shard = shard_token(number)
        try:
            await visit(shard)
        except (BridgeError, OSError) as error:
            _LOG.warning("retention.visit.failed", extra={"shard": shard, "error": str(error)})
        except Exception:  # noqa: BLE001 - of a Protocol's other side; the next shards need their visits
            _LOG.exception("retention.visit.failed", extra={"shard": shard})
        number = (number + 1) % SHARDS
