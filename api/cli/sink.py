"""``jetrun sink``: be the sink, or tell the one that is at work to pause, and ask how it is."""

import asyncio
from enum import StrEnum
from typing import Annotated, Final

import typer

from api.cli.console import ERR
from api.cli.log import open_log
from api.cli.options import JsonOption, with_settings
from api.cli.output import print_facts
from api.cli.roles import become
from api.cli.waiting import finished
from api.settings import Settings
from store import SinkRecords, SinkState, SinkStatus

#: A sink looks for wishes about once a second.
_OBEYED_WITHIN_S: Final = 10.0
_POLL_S: Final = 0.1
#: The status when the sink does not do what it shall.
UNWELL: Final = 3


class SinkAction(StrEnum):
    """What may be asked of a sink at work."""

    PAUSE = "pause"
    RESUME = "resume"
    STATUS = "status"


@with_settings
def sink(
    action: Annotated[
        SinkAction | None, typer.Argument(help="Of a sink that is at work. Without one: be one.")
    ] = None,
    *,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Write the archive: this process becomes the sink of a data directory.

    `pause` lets the sink at work end its batch and give the archive free, until `resume`; the log
    keeps what comes meanwhile. `status` tells how far it is behind; the exit status is 3 when it
    fails, is away, or was never there.
    """
    if action is None:
        become("store.sink", settings)
    status = finished(_ask(settings, action))
    if status is None:
        ERR.print("no sink has ever been at work on this log; start one with `jetrun sink`")
    elif as_json:
        typer.echo(status.model_dump_json())
    else:
        print_facts(status.model_dump(mode="json"))
    if status is None or status.state in {SinkState.FAILING, SinkState.AWAY}:
        raise typer.Exit(UNWELL)


async def _ask(settings: Settings, action: SinkAction) -> SinkStatus | None:
    async with open_log(settings, "jetrun-sink-control") as bridge:
        records = SinkRecords(bridge)
        if action is not SinkAction.STATUS:
            is_pause = action is SinkAction.PAUSE
            await records.wish(paused=is_pause)
            await _until_obeyed(records, paused=is_pause)
        return await records.find_status()


async def _until_obeyed(records: SinkRecords, *, paused: bool) -> None:
    """Wait until a sink has obeyed; one that is away will when it comes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _OBEYED_WITHIN_S
    while loop.time() < deadline:
        status = await records.find_status()
        if status is None or status.state is SinkState.AWAY:
            return
        if (status.state is SinkState.PAUSED) is paused:
            return
        await asyncio.sleep(_POLL_S)
    ERR.print("the wish is stored, but no sink has obeyed yet", style="yellow")
