"""Run a sync function in a thread of its own, with a context whose calls wait.

A thread cannot be stopped from outside. A function that shall stop gets an error from its next call
on the context; one that makes none goes on by itself, unheard, because the log is sealed.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import CancelledError, Future
from typing import Any, TypeVar

from runs.context import RunContext
from runs.errors import RunStoppedError

_Result = TypeVar("_Result")


class BlockingContext:
    """What a sync function gets to know and to do; its calls belong in the function's thread.

    Attributes:
        run_id: The run.
        thread_id: The thread that owns it.
        config: The run's configuration, as its creator gave it.
        context: The run's static context, likewise.
        metadata: The run's metadata, likewise.
        attempt: 1 for the first execution; higher after a worker was lost.
    """

    def __init__(self, context: RunContext, loop: asyncio.AbstractEventLoop) -> None:
        self.run_id = context.run_id
        self.thread_id = context.thread_id
        self.config = context.config
        self.context = context.context
        self.metadata = context.metadata
        self.attempt = context.attempt
        self._context = context
        self._loop = loop

    @property
    def cancelled(self) -> bool:
        """Whether the function shall stop."""
        return self._context.cancelled

    def emit(
        self,
        event: str,
        data: Any,
        *,
        category: str = "stream",
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one event to the run; see :meth:`RunContext.emit`.

        Raises:
            RunStoppedError: The run shall stop; clean up and return.
            InvalidEventError: The event cannot be stored.
            BridgeError: An earlier event could not be stored; stop working.
        """
        self._wait_for(self._context.emit(event, data, category=category, metadata=metadata))

    def flush(self) -> None:
        """Wait until everything that was emitted is stored.

        Raises:
            RunStoppedError: The run shall stop; clean up and return.
            BridgeError: Some event could not be stored; stop working.
        """
        self._wait_for(self._context.flush())

    def wait_for_input(self, prompt: Any) -> Any:
        """Ask the run's user something; see :meth:`RunContext.wait_for_input`.

        Raises:
            RunStoppedError: The run shall stop; clean up and return.
            InputTimeoutError: Nobody answered in time.
            BridgeError: An earlier event could not be stored; stop working.
        """
        return self._wait_for(self._context.wait_for_input(prompt))

    def result(self, values: Any) -> None:
        """Set the final values of the run: any JSON value; the last call counts."""
        self._context.result(values)

    def _wait_for(self, call: Coroutine[Any, Any, _Result]) -> _Result:
        if self._context.cancelled:
            call.close()
            raise RunStoppedError(self.run_id)
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except CancelledError:  # it waited for its user
            raise RunStoppedError(self.run_id) from None


async def call_in_thread(name: str, function: Callable[[], _Result]) -> _Result:
    """Call ``function`` in a new thread and wait for it.

    A cancelled caller still waits until the function returns; whoever cannot wait so long leaves
    the task alone. The thread does not hold the process back when that ends.

    Raises:
        Exception: Whatever the function raises.
    """
    future: Future[_Result] = Future()
    thread = threading.Thread(target=_fulfil, args=(future, function), name=name, daemon=True)
    thread.start()
    returned = asyncio.wrap_future(future)
    try:
        return await asyncio.shield(returned)
    except asyncio.CancelledError:
        await asyncio.wait([returned])
        returned.exception()  # an error of a function that was stopped is no news
        raise


def _fulfil(future: Future[_Result], function: Callable[[], _Result]) -> None:
    try:
        result = function()
    except BaseException as exc:  # noqa: BLE001 - the border to user code, which may even exit
        is_plain = isinstance(exc, Exception) and not isinstance(exc, StopIteration)
        future.set_exception(exc if is_plain else RuntimeError(f"{type(exc).__name__}: {exc}"))
    else:
        future.set_result(result)
