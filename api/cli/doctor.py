"""``jetrun doctor``: what is wrong with a deployment, and what to do."""

from typing import Final

import typer
from rich.text import Text

from api.cli.console import OUT
from api.cli.log import server_of
from api.cli.options import JsonOption, with_settings
from api.cli.waiting import finished
from api.doctor.diagnosis import diagnose
from api.doctor.report import Report, Severity
from api.settings import Settings

#: The exit status by the worst finding.
STATUS_OF: Final = {None: 0, Severity.NOTE: 0, Severity.WARNING: 3, Severity.ERROR: 4}
_COLOURS: Final = {Severity.NOTE: "cyan", Severity.WARNING: "yellow", Severity.ERROR: "bold red"}


@with_settings
def doctor(*, as_json: JsonOption = False, settings: Settings) -> None:
    """Look at server, streams, sink, disks and clock; say what is wrong, and what to do.

    The exit status is 0 when nothing is, 3 after a warning, and 4 after an error.
    """
    report = finished(_examine(settings))
    if as_json:
        typer.echo(report.model_dump_json())
    else:
        _show(report)
    raise typer.Exit(STATUS_OF[report.worst])


async def _examine(settings: Settings) -> Report:
    async with server_of(settings) as reached:
        return await diagnose(reached)


def _show(report: Report) -> None:
    if report.durability is not None:
        OUT.print(
            Text.assemble(
                f"nats-server {report.server_version}; an acknowledged event survives ",
                (report.survives or "", "bold"),
                f" ({report.durability})",
            )
        )
    if report.logical_bytes is not None:
        disk = "" if report.disk_bytes is None else f", {report.disk_bytes:,} on disk"
        OUT.print(Text(f"the streams take {report.logical_bytes:,} bytes{disk}"))
    for finding in report.findings:
        head = (f"{finding.severity:<8}", _COLOURS[finding.severity])
        OUT.print(Text.assemble(head, (finding.cause, "bold"), f"  {finding.detail}"))
        OUT.print(Text(f"         {finding.advice}", "dim"))
    if not report.findings:
        OUT.print(Text("nothing is wrong", "green"))
