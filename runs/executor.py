"""Call an assistant's function, whichever of the known forms it has."""

import asyncio
import inspect
from collections.abc import Mapping
from contextlib import aclosing, closing
from functools import partial
from typing import Any, Protocol

from runs.blocking import BlockingContext, call_in_thread
from runs.context import RunContext
from runs.errors import AssistantLoadError
from runs.loader import Handler, load_handler


async def execute(handler: Handler, context: RunContext, given: Any) -> None:
    """Run ``handler`` to its end and store what it yields.

    A generator function, sync or async, yields ``(event, data)`` pairs or mappings with ``event``
    and ``data`` (and ``category``, ``metadata``), and sets final values by ``context.result``. Any
    other function emits through the context; what it returns are the final values. Sync functions
    run in a thread of their own.

    Raises:
        TypeError: It yielded something else.
        BridgeError: An event could not be stored.
        Exception: Whatever the handler raises.
    """
    if inspect.isasyncgenfunction(handler):
        async with aclosing(handler(context, given)) as items:
            async for item in items:
                await context.emit(**_event_of(item))
        return
    if inspect.iscoroutinefunction(handler):
        values = await handler(context, given)
    else:
        waiting = BlockingContext(context, asyncio.get_running_loop())
        calling = partial(_call, handler, waiting, given)
        values = await call_in_thread(f"run-{context.run_id}", calling)
    if values is not None and not context.has_result:
        context.result(values)


def _call(handler: Handler, context: BlockingContext, given: Any) -> Any:
    if not inspect.isgeneratorfunction(handler):
        return handler(context, given)
    with closing(handler(context, given)) as items:
        for item in items:
            context.emit(**_event_of(item))
    return None


def _event_of(item: object) -> dict[str, Any]:
    match item:
        case (str(event), data):
            return {"event": event, "data": data}
        case Mapping() if "event" in item:
            return dict(item)
        case _:
            raise TypeError(
                "a handler yields (event, data) or {'event': ..., 'data': ...}, not "
                f"{type(item).__name__}"
            )


class RunExecutor(Protocol):
    """What executes the runs of one assistant.

    Attributes:
        failure: Why it cannot, where that is known already; each run then ends with it.
    """

    failure: AssistantLoadError | None

    async def execute(self, context: RunContext, given: Any) -> None:
        """Execute a run to its end.

        Raises:
            Exception: Whatever the user's code raises; the run then failed.
        """
        ...


class FailedExecutor:
    """Ends each run of an assistant that cannot be executed with the reason."""

    def __init__(self, failure: AssistantLoadError) -> None:
        self.failure: AssistantLoadError | None = failure
        self._failure = failure

    async def execute(self, context: RunContext, given: Any) -> None:  # noqa: ARG002 - whatever the run is
        """Fail.

        Raises:
            AssistantLoadError: Always.
        """
        raise self._failure


class Executor:
    """One assistant's function, imported once; an import that failed fails each run.

    Args:
        function: ``module:attr`` or ``path/file.py:attr``.
    """

    def __init__(self, function: str) -> None:
        self._handler: Handler | None = None
        self.failure: AssistantLoadError | None = None
        try:
            self._handler = load_handler(function)
        except AssistantLoadError as exc:
            self.failure = exc

    async def execute(self, context: RunContext, given: Any) -> None:
        """Run the function to its end; see :func:`execute`.

        Raises:
            AssistantLoadError: It could not be imported.
        """
        if self._handler is None:
            raise self.failure or AssistantLoadError("?", "not loaded")
        await execute(self._handler, context, given)
