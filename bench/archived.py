"""Sinks of measurements: in this process, or as a process of their own."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bridge import JetStreamBridge
from store import ArchiveSettings
from store.sink import Sink
from store.sink_status import CONSUMER

_POLL_S: Final = 0.01


@asynccontextmanager
async def sinking(
    bridge: JetStreamBridge, root: Path, settings: ArchiveSettings
) -> AsyncGenerator[None]:
    """Run a sink in this process."""
    stop = asyncio.Event()
    sink = asyncio.create_task(Sink(bridge, root, settings).run(stop))
    try:
        yield
    finally:
        stop.set()
        await sink


async def caught_up(bridge: JetStreamBridge) -> None:
    """Wait until the sink has acknowledged everything that the log holds."""
    is_behind = True
    while is_behind:
        await asyncio.sleep(_POLL_S)
        infos = await bridge.list_consumers()
        is_behind = not any(info.name == CONSUMER and info.is_caught_up for info in infos)


def files_below(root: Path) -> Iterator[Path]:
    """Yield the files of an archive."""
    return root.rglob("*.jsonl")
