"""Where threads stand in line to be removed: a job queue of its own."""

from contextlib import suppress
from typing import Final

from pydantic import AwareDatetime

from bridge import AlreadyQueuedError, JobQueue
from runs.models import Frozen, now

#: Longer than the name of any assistant, so that no assistant can have the same queue.
LINE: Final = "threads-that-are-about-to-be-removed"


class Place(Frozen):
    """What stands in the line beside a thread's id: since when."""

    since: AwareDatetime


async def put_in_line(jobs: JobQueue, thread_id: str) -> None:
    """Have a thread removed by a worker; one that stands in line already keeps its place.

    Raises:
        UnavailableError: The server fell silent; the thread's state still asks for it.
    """
    with suppress(AlreadyQueuedError):
        await jobs.put(LINE, thread_id, Place(since=now()).encode())
