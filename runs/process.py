"""The worker as a process of its own, told everything by ``JETRUN_*`` variables.

It ends in order on SIGTERM or SIGINT: running runs get time to finish, the rest is handed back.
"""

import asyncio

from pydantic import Field

from bridge import (
    Health,
    JetStreamBridge,
    ProcessSettings,
    encode_json,
    process_registry,
    run_process,
    serving_metrics,
)
from bridge.garbage import collect_seldom
from runs.catalog import AssistantCatalog
from runs.errors import AssistantLoadError
from runs.node_threads import NodeThreads
from runs.settings import (
    AssistantName,
    AssistantSettings,
    GraphSettings,
    RunSettings,
    WorkerSettings,
)
from runs.user_environment import prepare
from runs.worker import Worker
from runs.worker_metrics import WorkerCollector


class WorkerProcessSettings(ProcessSettings):
    """What a worker's process reads from its environment.

    Attributes:
        runs: Limits of run control.
        worker: How much it runs at one time, and how it holds on and lets go.
        assistants: The functions and graphs it executes, besides the built-in ones.
        graphs: What its graphs share.
    """

    runs: RunSettings = RunSettings()
    worker: WorkerSettings = WorkerSettings()
    assistants: dict[AssistantName, AssistantSettings] = Field(default_factory=dict)
    graphs: GraphSettings = GraphSettings()


async def serve(
    settings: WorkerProcessSettings, bridge: JetStreamBridge, stop: asyncio.Event
) -> None:
    """Execute runs until ``stop`` is set."""
    prepare(settings.graphs)
    threads = NodeThreads(settings.worker.max_node_threads)
    asyncio.get_running_loop().set_default_executor(threads)
    catalog = AssistantCatalog(settings.assistants)
    worker = Worker(bridge, catalog, settings.worker, settings.runs, settings.graphs)
    collect_seldom()  # once more: libraries of graphs are large
    collector = WorkerCollector(worker.figures, settings.worker.concurrency)

    def health() -> Health:
        said = {"connected": bridge.is_connected, "runs": worker.figures.in_hand}
        return Health(bridge.is_connected, encode_json(said))

    where = settings.metrics
    registry = process_registry(bridge.metrics, collector)
    with serving_metrics(where.host, where.worker_port, registry, health):
        await worker.serve(stop)


def main() -> None:
    """Run a worker until SIGTERM or SIGINT; exits with 1 when it cannot go on."""
    run_process("worker", WorkerProcessSettings, serve, (AssistantLoadError, OSError))
