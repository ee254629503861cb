"""The sink as a process of its own: ``python -m store.sink``, told everything by ``JETRUN_*``.

It ends in order on SIGTERM, at the end of a batch; on SIGKILL it loses nothing either.
"""

import asyncio
from pathlib import Path

from bridge import (
    JetStreamBridge,
    ProcessSettings,
    process_registry,
    run_process,
    serving_metrics,
)
from store.errors import StoreError
from store.settings import ArchiveSettings
from store.sink import Sink
from store.sink_metrics import SinkCollector, health_of


class SinkProcessSettings(ProcessSettings):
    """What the sink's process reads from its environment.

    Attributes:
        archive: How the files are written.
        data: The directory that holds them.
    """

    archive: ArchiveSettings = ArchiveSettings()
    data: Path = Path(".jetrun")


async def serve(
    settings: SinkProcessSettings, bridge: JetStreamBridge, stop: asyncio.Event
) -> None:
    """Archive until ``stop`` is set."""
    sink = Sink(bridge, settings.data, settings.archive)
    registry = process_registry(bridge.metrics, SinkCollector(sink.status))
    with serving_metrics(
        settings.metrics.host,
        settings.metrics.sink_port,
        registry,
        lambda: health_of(sink.status()),
    ):
        await sink.run(stop)


def main() -> None:
    """Run a sink until SIGTERM or SIGINT; exits with 1 when it cannot go on."""
    run_process("sink", SinkProcessSettings, serve, expected=(StoreError, OSError))
