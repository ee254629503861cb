"""What the memory bridges of one process share, in the place of a server."""

from bridge.memory.holding import MemoryControls, MemoryHolders
from bridge.memory.jobs import MemoryJobQueue
from bridge.memory.log import MemoryLog
from bridge.memory.settings import MemorySettings
from bridge.memory.states import MemoryStates
from bridge.memory.timers import MemoryTimers


class MemoryServer:
    """One log, and what run control keeps beside it.

    Attributes:
        log: The events of all runs.
        states: Records that bridges agree on.
        secrets: Those that only gateways may read.
        jobs: Runs that wait for a worker.
        timers: Payloads that come back at their time.
        controls: Nudges to those who execute runs.
        holders: Asks who executes runs.
    """

    def __init__(self, settings: MemorySettings) -> None:
        self.log = MemoryLog(settings)
        self.states, self.secrets = (
            MemoryStates(
                max_record_bytes=settings.max_event_bytes, max_tombstones=settings.max_tombstones
            )
            for _ in range(2)
        )
        self.jobs = MemoryJobQueue()
        self.timers = MemoryTimers()
        self.controls = MemoryControls()
        self.holders = MemoryHolders()
