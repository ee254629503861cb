"""``jetrun publish``: append events to a run, a JSON object from each line of standard input."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncGenerator
from contextlib import suppress
from itertools import chain
from typing import Annotated, Any, Final

import typer

from api.cli.console import ERR
from api.cli.gateway import Gateway, with_gateway
from api.cli.options import JsonOption
from api.cli.output import print_json
from api.cli.runs import RunArgument, find_run, path_of
from api.cli.waiting import finished
from api.client import GatewayRequestError
from api.startup_errors import StartupError
from bridge import new_id

#: Refusals that another try can change, beside a gateway that is away.
_RETRIED: Final = frozenset({429, 503, 507})
_FIRST_PAUSE_S: Final = 0.2
_MAX_PAUSE_S: Final = 2.0
_MAX_TRIES: Final = 20


class InvalidLineError(StartupError):
    """A line of the input is no event; the lines before it are published."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(
            f"line {number}: {problem}; the lines before it are published: correct it and go on "
            f"from line {number}"
        )
        self.number = number


@with_gateway
def publish(
    run_id: RunArgument,
    *,
    event: Annotated[
        str | None, typer.Option(metavar="NAME", help="Each line is the data of such an event.")
    ] = None,
    as_json: JsonOption = False,
    gateway: Gateway,
) -> None:
    """Append events to a run from standard input, one JSON value a line.

    A line is `{"event", "data"}`, with `category`, `metadata` and `event_id` if wanted; with
    --event it is the data alone. Each line is stored before the next one is read. A gateway that
    is away is tried again for some 30 s, and nothing is stored twice.
    """
    run = find_run(gateway, run_id)
    count = finished(_publish(gateway, f"{path_of(run)}/events", event, as_json=as_json))
    if not as_json:
        ERR.print(f"{count} events are stored")


async def _publish(gateway: Gateway, path: str, event: str | None, *, as_json: bool) -> int:
    # The server knows a repeated id for two minutes, longer than any repetition here takes.
    nonce = new_id()
    number = 0
    async with gateway.session() as session:
        async for line in _lines():
            number += 1
            body = {"event_id": f"{nonce}-{number}", **_event_of(line, number, event)}
            pause_s = _FIRST_PAUSE_S
            for tries in range(1, _MAX_TRIES + 1):
                try:
                    answer = await gateway.send(session, "POST", path, body)
                    break
                except GatewayRequestError as exc:
                    if tries == _MAX_TRIES or exc.status not in {None, *_RETRIED}:
                        raise
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, _MAX_PAUSE_S)
            if as_json:
                print_json(answer)
    return number


async def _lines() -> AsyncGenerator[bytes]:
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[bytes] = asyncio.Queue(1)

    def read() -> None:
        with open(os.dup(sys.stdin.fileno()), "rb") as file, suppress(RuntimeError):  # noqa: PTH123 - a descriptor
            for line in chain(file, [b""]):
                asyncio.run_coroutine_threadsafe(lines.put(line), loop).result()

    # Nobody waits for this thread: a read from a terminal or a pipe cannot be taken back.
    threading.Thread(target=read, name="stdin", daemon=True).start()
    while line := await lines.get():
        if line.strip():
            yield line


def _event_of(line: bytes, number: int, event: str | None) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except ValueError as exc:
        raise InvalidLineError(number, f"not JSON ({exc})") from exc
    if event is not None:
        return {"event": event, "data": content}
    if not isinstance(content, dict) or "event" not in content:
        raise InvalidLineError(number, 'not an object with "event"; --event gives all one name')
    return content
