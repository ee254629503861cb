"""The sink as a process of its own: ``python -m store.sink``, told everything by ``JETRUN_*``.

It ends in order on SIGTERM, at the end of a batch; on SIGKILL it loses nothing either.
"""

import asyncio
from pathlib import Path

from bridge import JetStreamBridge, ProcessSettings, run_process
from store.errors import StoreError
from store.health import serving_health
from store.settings import ArchiveSettings
from store.sink import Sink


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
    with serving_health(settings.archive.metrics_port, sink.status):
        await sink.run(stop)


def main() -> None:
    """Run a sink until SIGTERM or SIGINT; exits with 1 when it cannot go on."""
    run_process("sink", SinkProcessSettings, serve, expected=(StoreError, OSError))
