"""``jetrun verify`` and ``jetrun repair``: is the archive what the log was, and make it so."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated

import typer
from rich.table import Table

from api.cli.console import ERR, OUT
from api.cli.log import open_log
from api.cli.options import JsonOption, with_settings
from api.cli.output import print_json
from api.cli.waiting import finished
from api.settings import Settings
from api.startup_errors import DataDirectoryError
from bridge import RunRef, check_id
from store import ArchiveLayout, Finding, Repair, Repairer, RunReport, StoreError, Verifier

#: The status when something is wrong with the archive; 1 means that it could not be verified.
UNSOUND = 3
_SHOWN_FINDINGS = 20


@with_settings
def verify(
    *,
    thread: Annotated[str | None, typer.Option(metavar="ID", help="Only this thread.")] = None,
    offline: Annotated[bool, typer.Option(help="Check the files alone, without the log.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a run.")] = False,
    settings: Settings,
) -> None:
    """Compare the archive with the log: holes, duplicates, order, damage.

    The exit status is 0 when all is sound, 3 when something is wrong, and 1 when that could not be
    found out.
    """
    if thread is not None:
        check_id("thread", thread)
    totals = Totals()
    finished(_verify(settings, thread, totals, offline=offline, as_json=as_json))
    if not as_json:
        totals.show()
    if totals.findings:
        raise typer.Exit(UNSOUND)


class Totals:
    """Adds up reports, and keeps those that show something."""

    def __init__(self) -> None:
        self.runs = self.records = self.behind = self.findings = 0
        self.table = Table("thread", "run", "line", "events", "what", "detail", "in the log")

    def add(self, report: RunReport) -> None:
        """Count a report."""
        self.runs += 1
        self.records += report.records
        self.behind += report.behind
        self.findings += report.finding_count
        for finding in report.findings[:_SHOWN_FINDINGS]:
            self.table.add_row(report.thread_id, report.run_id, *_cells(finding))

    def show(self) -> None:
        """Print the findings and the sums."""
        if self.findings:
            OUT.print(self.table)
        OUT.print(f"{self.records} records of {self.runs} runs")
        if self.behind:
            OUT.print(f"{self.behind} events are in the log only: the sink is behind, or stopped")
        if self.findings:
            OUT.print(f"{self.findings} findings", style="red")
        else:
            OUT.print("sound", style="green")


def _cells(finding: Finding) -> tuple[str, ...]:
    first, last = finding.first_run_seq, finding.last_run_seq
    events = "" if not first else str(first) if first == last else f"{first}-{last}"
    in_log = {None: "", True: "yes", False: "no"}[finding.in_log]
    line = str(finding.line_number or "")
    return line, events, finding.kind.value, finding.detail, in_log


async def _verify(
    settings: Settings, thread: str | None, totals: Totals, *, offline: bool, as_json: bool
) -> None:
    async with AsyncExitStack() as stack:
        bridge = (
            None
            if offline
            else await stack.enter_async_context(open_log(settings, "jetrun-archive"))
        )
        reports: AsyncIterator[RunReport] = Verifier(ArchiveLayout(settings.data), bridge).verify(
            thread_id=thread
        )
        try:
            async for report in reports:
                totals.add(report)
                if as_json:
                    typer.echo(report.model_dump_json())
        except StoreError:
            raise
        except OSError as exc:
            raise DataDirectoryError(settings.data, str(exc)) from exc


@with_settings
def repair(
    thread_id: Annotated[str, typer.Argument(help="The thread.")],
    run_id: Annotated[str, typer.Argument(help="The run whose file is written anew.")],
    *,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Write a run's file anew from the log, and from its own sound lines. Stop the sink first.

    The exit status is 0 when the file is sound now, and 3 when something is missing for good.
    """
    done, report = finished(_repair(settings, RunRef.checked(thread_id, run_id)))
    if as_json:
        facts = {**done._asdict(), "kept": str(done.kept)}
        print_json({**facts, "report": report.model_dump(mode="json")})
    else:
        OUT.print(
            f"{done.from_log} records from the log, {done.from_file} from the old file; "
            f"{done.dropped_lines} lines dropped"
        )
        OUT.print(f"the old file is {done.kept}")
        for finding in report.findings:
            ERR.print(" ".join(_cells(finding)), style="red")
    if not report.is_sound:
        raise typer.Exit(UNSOUND)


async def _repair(settings: Settings, run: RunRef) -> tuple[Repair, RunReport]:
    layout = ArchiveLayout(settings.data)
    async with open_log(settings, "jetrun-archive") as bridge:
        done = await Repairer(layout, bridge).repair(run)
        return done, await Verifier(layout, bridge).verify_run(run)
