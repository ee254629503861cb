"""Threads for the sync nodes of graphs: bounded, and never in the way of the process's end.

A thread cannot be stopped from outside: a sync node that was cancelled goes on by itself until it
returns. The loop's own pool would hold the process back until then.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

_Result = TypeVar("_Result")
_IDLE_S: Final = 60.0


class NodeThreads(ThreadPoolExecutor):
    """Daemon threads behind the interface that an event loop wants of its default executor.

    Args:
        max_threads: Calls that run at one time; the others wait for their turn.
    """

    def __init__(self, max_threads: int) -> None:
        super().__init__(max_workers=1)  # starts no thread until its own submit is called
        self._max_threads = max_threads
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0
        self._idle = 0

    def submit(self, fn: Callable[..., _Result], /, *args: Any, **kwargs: Any) -> Future[_Result]:
        """Have a call made in a thread."""
        future: Future[_Result] = Future()

        def call() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = fn(*args, **kwargs)
            except BaseException as exc:  # noqa: BLE001 - the border to user code, which may even exit
                future.set_exception(exc)
            else:
                future.set_result(result)

        with self._lock:
            self._calls.put(call)
            # Whoever is idle may be about to leave; then the call finds its thread at the next one.
            if self._calls.qsize() > self._idle and self._count < self._max_threads:
                self._count += 1
                number = self._count
                threading.Thread(target=self._work, name=f"node-{number}", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the library calls it so
        """Leave the threads alone: they end with the process."""

    def _work(self) -> None:
        while True:
            with self._lock:
                self._idle += 1
            try:
                call = self._calls.get(timeout=_IDLE_S)
            except queue.Empty:
                with self._lock:
                    self._idle -= 1
                    if self._calls.empty():
                        self._count -= 1
                        return
                continue
            with self._lock:
                self._idle -= 1
            call()
