"""Call an assistant's function, whichever of the known forms it has."""

import inspect
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any

from runs.context import RunContext
from runs.errors import AssistantLoadError
from runs.loader import Handler, load_handler


async def execute(handler: Handler, context: RunContext, given: Any) -> None:
    """Run ``handler`` to its end and store what it yields.

    An async generator function yields ``(event, data)`` pairs or mappings with ``event`` and
    ``data`` (and ``category``, ``metadata``), and sets final values by ``context.result``. A
    coroutine function emits through the context; what it returns are the final values.

    Raises:
        TypeError: It yielded something else.
        BridgeError: An event could not be stored.
        Exception: Whatever the handler raises.
    """
    if inspect.isasyncgenfunction(handler):
        async with aclosing(handler(context, given)) as items:
            await _emit_all(items, context)
        return
    values = await handler(context, given)
    if values is not None and not context.has_result:
        context.result(values)


async def _emit_all(items: AsyncIterator[Any], context: RunContext) -> None:
    async for item in items:
        match item:
            case (str(event), data):
                await context.emit(event, data)
            case Mapping() if "event" in item:
                await context.emit(**item)
            case _:
                raise TypeError(
                    "a handler yields (event, data) or {'event': ..., 'data': ...}, not "
                    f"{type(item).__name__}"
                )


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
