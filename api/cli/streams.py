"""``jetrun streams``: make the streams, so that no other role needs to, and keep them as wanted."""

from typing import Annotated, Any, Final

import typer

from api.cli.console import OUT
from api.cli.log import server_of
from api.cli.options import JsonOption, with_settings
from api.cli.output import print_facts, print_json, print_rows
from api.cli.waiting import finished
from api.settings import Settings
from api.startup_errors import StartupError
from bridge.stream_reports import StreamReport, open_upkeep

STREAMS = typer.Typer(invoke_without_command=True)

#: The status when a stream is not as the settings want it.
UNSOUND: Final = 3
_COLUMNS: Final = ("stream", "messages", "bytes", "consumers", "replicas", "verdict")
_DRIFT_COLUMNS: Final = ("stream", "field", "wanted", "found")


class NoSuchStreamError(StartupError):
    """The log has no stream of this name."""

    def __init__(self, name: str, known: list[str]) -> None:
        super().__init__(f"there is no stream {name}; there are {', '.join(known)}")
        self.name = name


@STREAMS.callback()
@with_settings
def make(context: typer.Context, *, settings: Settings) -> None:
    """Make the streams that are absent, verify the others; or list, show, verify, apply.

    Needs credentials that may make streams; gateways, workers and sinks then need none of that. A
    stream that differs from the settings is an error, and is left as it is.
    """
    if context.invoked_subcommand is None:
        reports = finished(_make(settings))
        print_rows(_COLUMNS, [_row(each) for each in reports])


@STREAMS.command("list")
@with_settings
def list_streams(*, as_json: JsonOption = False, settings: Settings) -> None:
    """Show the log's streams."""
    reports = finished(_report(settings))
    if as_json:
        print_json([_shape(each) for each in reports])
    else:
        print_rows(_COLUMNS, [_row(each) for each in reports])


@STREAMS.command()
@with_settings
def show(
    name: Annotated[str, typer.Argument(metavar="STREAM", help="Its name.")],
    *,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Show one stream with its configuration."""
    reports = finished(_report(settings))
    found = next((each for each in reports if each.name == name), None)
    if found is None:
        raise NoSuchStreamError(name, [each.name for each in reports])
    if as_json:
        print_json(_shape(found))
    else:
        print_facts({**_row(found), **(found.config or {})})


@STREAMS.command()
@with_settings
def verify(*, as_json: JsonOption = False, settings: Settings) -> None:
    """Compare the streams with the settings, and change nothing.

    The exit status is 0 when all are as they are wanted, and 3 when one differs or is absent.
    """
    _tell(finished(_report(settings)), as_json=as_json)


@STREAMS.command()
@with_settings
def apply(*, as_json: JsonOption = False, settings: Settings) -> None:
    """Make the streams that are absent, and change those that differ to what the settings want.

    Processes at work do not mind. The server refuses what cannot be changed of a stream.
    """
    _tell(finished(_apply(settings)), as_json=as_json)


async def _report(settings: Settings) -> list[StreamReport]:
    async with server_of(settings) as reached, open_upkeep(reached.bridge) as upkeep:
        return await upkeep.report()


async def _make(settings: Settings) -> list[StreamReport]:
    async with server_of(settings) as reached, open_upkeep(reached.bridge) as upkeep:
        return await upkeep.make()


async def _apply(settings: Settings) -> list[StreamReport]:
    async with server_of(settings) as reached, open_upkeep(reached.bridge) as upkeep:
        return await upkeep.apply()


def _tell(reports: list[StreamReport], *, as_json: bool) -> None:
    unsound = [each for each in reports if not each.is_sound]
    if as_json:
        print_json([_shape(each) for each in reports])
    elif not unsound:
        OUT.print("all streams are as the settings want them", style="green")
    else:
        rows = [
            {
                "stream": each.name,
                "field": drift.field,
                "wanted": drift.wanted,
                "found": drift.found,
            }
            for each in unsound
            for drift in each.drifts
        ]
        absent = [{"stream": each.name, "field": "absent"} for each in unsound if not each.config]
        print_rows(_DRIFT_COLUMNS, [*absent, *rows])
        OUT.print("`jetrun streams apply` makes them so")
    if unsound:
        raise typer.Exit(UNSOUND)


def _row(report: StreamReport) -> dict[str, Any]:
    verdict = "sound" if report.is_sound else "drifted" if report.config else "absent"
    return {
        "stream": report.name,
        "messages": report.state.get("messages"),
        "bytes": report.state.get("bytes"),
        "consumers": report.state.get("consumer_count"),
        "replicas": (report.config or {}).get("num_replicas"),
        "verdict": verdict,
    }


def _shape(report: StreamReport) -> dict[str, Any]:
    drifts = [each._asdict() for each in report.drifts]
    return {**_row(report), "config": report.config, "drifts": drifts}
