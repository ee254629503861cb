"""How commands wait for what takes its time."""

from collections.abc import Coroutine
from typing import Any, TypeVar

import typer

from api.signals import run_until_signalled

Result = TypeVar("Result")


def finished(work: Coroutine[Any, Any, Result]) -> Result:
    """Run ``work`` on a loop of its own and return its result.

    Raises:
        typer.Exit: A signal ended it first, in order; the command ends with status 1.
    """
    results: list[Result] = []

    async def keep() -> None:
        results.append(await work)

    run_until_signalled(keep())
    if not results:
        raise typer.Exit(1)
    return results[0]
