"""Streams its input back: for tests, and to see that a deployment works.

An input that is an object may hold options: ``events`` (how many events, default 1), ``delay_s``
(seconds between them), ``size`` (characters of padding in each), ``event`` (their name),
``sleep_s`` (seconds to do nothing at the end), ``fail`` (a message to fail with at the end) and
``values`` (the final values; the input without it).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from runs.context import RunContext

Pause = Annotated[float, Field(ge=0, le=3600)]


class EchoError(Exception):
    """The failure that was asked for."""


class EchoOptions(BaseModel):
    """What the input may ask for; other members are echoed like these."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    events: int = Field(1, ge=0, le=10_000_000)
    delay_s: Pause = 0.0
    size: int = Field(0, ge=0, le=4 << 20)
    event: str = "echo"
    sleep_s: Pause = 0.0
    fail: str | None = None
    values: Any = None


async def echo(context: RunContext, given: Any) -> AsyncIterator[tuple[str, Any]]:
    """Yield the input, once or as often as asked.

    Raises:
        EchoError: The input asks for a failure.
        ValidationError: An option is out of range.
    """
    options = EchoOptions.model_validate(given if isinstance(given, dict) else {})
    is_plain = options.events == 1 and not options.size
    padding = "x" * options.size
    for number in range(1, options.events + 1):
        yield options.event, given if is_plain else {"n": number, "padding": padding}
        if options.delay_s:
            await asyncio.sleep(options.delay_s)
    if options.sleep_s:
        await asyncio.sleep(options.sleep_s)
    if options.fail is not None:
        raise EchoError(options.fail)
    context.result(given if options.values is None else options.values)
