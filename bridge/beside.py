"""Work that goes on beside a context, and ends with it."""

import asyncio
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager
from typing import Any


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None], name: str) -> AsyncGenerator[None]:
    """Do ``work`` in a task of its own for the length of a context; what is left is cancelled.

    An error that ended the work before is raised at the end. A cancellation of whoever leaves the
    context is not taken for that of the work, as waiting for the task itself would.

    Args:
        work: Usually goes on for ever.
        name: How the task is called when tasks are listed.
    """
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            task.result()
