"""A process and all that it started, signalled together.

Servers stand still while another one is asked: nobody pays for what others do at rest.
"""

import os
import signal
from collections import defaultdict
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def standing_still(process_ids: Iterable[int]) -> Generator[None]:
    """Halt processes, and all that they started, for the length of a context."""
    halted = with_descendants(process_ids)
    signal_all(halted, signal.SIGSTOP)
    try:
        yield
    finally:
        signal_all(halted, signal.SIGCONT)


def with_descendants(process_ids: Iterable[int]) -> set[int]:
    """Return the processes and all that they started."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            # The name stands in parentheses, and may hold any character.
            parent = stat.read_text().rpartition(")")[2].split()[1]
            children[int(parent)].append(int(stat.parent.name))
    found: set[int] = set()
    waiting = list(process_ids)
    while waiting:
        found.add(process_id := waiting.pop())
        waiting += children[process_id]
    return found


def signal_all(process_ids: Iterable[int], number: signal.Signals) -> None:
    """Signal those processes that are still there."""
    for process_id in process_ids:
        with suppress(ProcessLookupError):
            os.kill(process_id, number)
