"""``jetrun tail``: watch one run from a terminal or a pipe."""

import json
from contextlib import aclosing
from typing import Annotated

import aiohttp
import typer
from rich.text import Text

from api.auth.authentication import API_KEY_HEADER
from api.cli.console import ERR, OUT
from api.client import RunStream, SseMessage
from api.signals import run_until_signalled
from bridge import check_id

_COLOURS = {"metadata": "cyan", "end": "green", "error": "bold red", "gap": "bold yellow"}


def tail(
    run_id: Annotated[str, typer.Argument(help="The run to follow.")],
    *,
    after: Annotated[str | None, typer.Option(metavar="ID", help="Start after this event.")] = None,
    url: Annotated[str, typer.Option(help="The gateway.")] = "http://127.0.0.1:2024",
    api_key: Annotated[
        str | None,
        typer.Option(envvar="LANGGRAPH_API_KEY", help="For a gateway that wants to know who asks."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """Print a run's events as they come, until the run ends; lost connections are resumed."""
    check_id("run_id", run_id)
    address = f"{url.rstrip('/')}/runs/{run_id}/stream"
    headers = {} if api_key is None else {API_KEY_HEADER: api_key}
    run_until_signalled(_tail(address, after, headers, as_json=as_json))


async def _tail(url: str, after: str | None, headers: dict[str, str], *, as_json: bool) -> None:
    async with aiohttp.ClientSession(headers=headers) as session:
        stream = RunStream(session, url, after=after, on_outage=_print_outage)
        async with aclosing(stream.messages()) as messages:
            async for message in messages:
                if as_json:
                    typer.echo(as_line(message))
                else:
                    OUT.print(as_text(message))


def as_line(message: SseMessage) -> str:
    """Return a message as one line of JSON."""
    content = {"id": message.id, "event": message.event, "data": json.loads(message.data)}
    return json.dumps(content, ensure_ascii=False)


def as_text(message: SseMessage) -> Text:
    """Return a message for people."""
    colour = _COLOURS.get(message.event, "blue")
    return Text.assemble(
        (f"{message.id:>12} ", "dim"), (f"{message.event:<12} ", colour), message.data
    )


def _print_outage(reason: str) -> None:
    ERR.print(Text(f"connection lost ({reason}); resuming", "yellow"))
