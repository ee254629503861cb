"""What can be wrong with the archive and with disks."""

from collections.abc import Iterator
from typing import Final

from api.doctor.report import Cause, Finding, Severity
from api.doctor.stores import Disk
from store import SinkState, SinkStatus

#: An archive that is further behind than this is told of.
MAX_LAG_S: Final = 60.0
#: A disk with a smaller share free is nearly full.
MIN_FREE: Final = 0.1
_START: Final = "start one (jetrun sink); until then the log grows and trims nothing"


def check_sink(status: SinkStatus | None) -> Iterator[Finding]:
    """Look at what the sink says of itself."""
    if status is None:
        yield Finding(
            cause=Cause.SINK_STOPPED,
            severity=Severity.WARNING,
            detail="no sink has ever been at work on this log",
            advice=_START,
        )
        return
    behind = f"{status.lag_events} events are not archived, the oldest for {status.lag_s:.0f} s"
    if status.state is SinkState.AWAY:
        yield Finding(
            cause=Cause.SINK_STOPPED,
            severity=Severity.ERROR,
            detail=f"no sink is at work; the last was process {status.process}; {behind}",
            advice=_START,
        )
    elif status.state is SinkState.FAILING:
        yield Finding(
            cause=Cause.SINK_FAILING,
            severity=Severity.ERROR,
            detail=f"the sink cannot write: {status.last_error}; {behind}",
            advice=f"mend the disk below {status.root}; the sink goes on by itself",
        )
    elif status.state is SinkState.PAUSED:
        yield Finding(
            cause=Cause.SINK_PAUSED,
            severity=Severity.NOTE,
            detail=f"the sink was told to pause; {behind}",
            advice="jetrun sink resume, when the reason is gone",
        )
    elif status.lag_s > MAX_LAG_S:
        yield Finding(
            cause=Cause.SINK_BEHIND,
            severity=Severity.WARNING,
            detail=behind,
            advice="see whether its disk is slow, and whether it was away until now",
        )


def check_disk(disk: Disk) -> Iterator[Finding]:
    """Look whether a disk will take what comes."""
    free = f"{disk.path}, which holds {disk.holds}, has "
    free += f"{disk.free_bytes} of {disk.total_bytes} bytes free"
    if disk.free_bytes < MIN_FREE * disk.total_bytes:
        yield Finding(
            cause=Cause.DISK_NEARLY_FULL,
            severity=Severity.ERROR,
            detail=f"the disk of {free}",
            advice="make room; a server whose disk is full stops storing, and the sink waits",
        )
    elif disk.may_grow_bytes is not None and disk.free_bytes < disk.may_grow_bytes:
        yield Finding(
            cause=Cause.DISK_NEARLY_FULL,
            severity=Severity.WARNING,
            detail=f"the server may store {disk.may_grow_bytes} bytes more, and the disk of {free}",
            advice="make room, or lower max_file_store: a limit pushes publishers back in time, a "
            "full disk does not",
        )
