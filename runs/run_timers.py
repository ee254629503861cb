"""The timers of runs that are to begin later: what they are called, and what comes back."""

from datetime import datetime
from typing import Final

from bridge import RunRef, Timers
from runs.models import Frozen

#: The kind of these timers; the key is the run's id.
RUN_TIMER: Final = "run"


class TimedRun(Frozen):
    """What a timer brings back beside the run's id."""

    thread_id: str


async def set_timer(timers: Timers, run: RunRef, due: datetime) -> None:
    """Have a worker told when the run is due; doing it twice is harmless.

    Raises:
        BridgeError: It could not be set; the thread's state still asks for it.
    """
    payload = TimedRun(thread_id=run.thread_id).encode()
    await timers.set(RUN_TIMER, run.run_id, at=due, payload=payload)
