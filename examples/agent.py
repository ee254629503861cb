"""An assistant of your own: an async generator function; ``jetrun.toml`` beside it declares it."""

from collections.abc import AsyncIterator
from typing import Any

from runs import RunContext


async def count(context: RunContext, given: Any) -> AsyncIterator[tuple[str, Any]]:
    """Count to ``given["to"]``, an event each, and return the sum."""
    for number in range(1, given["to"] + 1):
        yield "tick", {"number": number}
    context.result({"sum": sum(range(given["to"] + 1))})
