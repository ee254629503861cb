"""``jetrun tail``: watch one run from a terminal or a pipe."""

import asyncio
import json
from contextlib import aclosing
from typing import Annotated, NamedTuple

import aiohttp
import typer
from rich.text import Text

from api.cli.console import ERR, OUT, printable
from api.cli.gateway import Gateway, with_gateway
from api.cli.runs import RunArgument
from api.cli.waiting import finished
from api.client import RunStream, SseMessage
from bridge import check_id

_COLOURS = {"metadata": "cyan", "end": "green", "error": "bold red", "gap": "bold yellow"}


@with_gateway
def tail(
    run_id: RunArgument,
    *,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Start after this event.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    gateway: Gateway,
) -> None:
    """Print a run's events as they come, until the run ends; lost connections are resumed.

    When it is interrupted it says how to go on after the last event.
    """
    check_id("run_id", run_id)
    reached = finished(_tail(gateway, run_id, after, as_json=as_json))
    if not reached.has_ended:
        again = f" --after {reached.last_event_id}" if reached.last_event_id else ""
        ERR.print(Text(f"go on with: jetrun tail {run_id}{again}", "yellow"))
        raise typer.Exit(1)


class _Reached(NamedTuple):
    """How far a run was shown."""

    last_event_id: str
    has_ended: bool


async def _tail(gateway: Gateway, run_id: str, after: str | None, *, as_json: bool) -> _Reached:
    url = f"{gateway.url}/runs/{run_id}/stream"
    async with aiohttp.ClientSession(headers=gateway.headers) as session:
        stream = RunStream(session, url, after=after, on_outage=_print_outage)
        try:
            async with aclosing(stream.messages()) as messages:
                async for message in messages:
                    if as_json:
                        typer.echo(as_line(message))
                    else:
                        OUT.print(as_text(message))
        except asyncio.CancelledError:
            return _Reached(stream.last_event_id, has_ended=False)
        return _Reached(stream.last_event_id, has_ended=True)


def as_line(message: SseMessage) -> str:
    """Return a message as one line of JSON."""
    content = {"id": message.id, "event": message.event, "data": json.loads(message.data)}
    return json.dumps(content, ensure_ascii=False)


def as_text(message: SseMessage) -> Text:
    """Return a message for people."""
    colour = _COLOURS.get(message.event, "blue")
    return Text.assemble(
        (f"{message.id:>12} ", "dim"), (f"{message.event:<12} ", colour), printable(message.data)
    )


def _print_outage(reason: str) -> None:
    ERR.print(Text(f"connection lost ({reason}); resuming", "yellow"))
