"""``jetrun runs``: look at runs, stop them, delete them."""

from typing import Annotated, Any, Final

import typer

from api.cli.console import ERR
from api.cli.gateway import Gateway, with_gateway
from api.cli.options import JsonOption
from api.cli.output import print_facts, print_json, print_rows
from api.client import GatewayRequestError
from bridge import check_id
from runs import CancelAction, RunStatus

RUNS = typer.Typer(help="Runs: list, show, cancel, delete.", no_args_is_help=True)

_COLUMNS: Final = ("run_id", "status", "assistant_id", "thread_id", "created_at")
_NOT_FOUND: Final = 404

RunArgument = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run.")]


@RUNS.command("list")
@with_gateway
def list_runs(  # noqa: PLR0913 - one parameter for each option
    *,
    thread: Annotated[str | None, typer.Option(metavar="ID", help="Of this thread.")] = None,
    assistant: Annotated[str | None, typer.Option(metavar="ID", help="Of this assistant.")] = None,
    status: Annotated[
        list[RunStatus] | None, typer.Option(help="May be given again. [all]")
    ] = None,
    text: Annotated[str | None, typer.Option(help="In the metadata or the error.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many.")] = 0,
    as_json: JsonOption = False,
    gateway: Gateway,
) -> None:
    """Show runs, the newest first."""
    wanted = {
        "thread_id": thread,
        "assistant_id": assistant,
        "status": status or None,
        "text": text,
    }
    chosen = {name: value for name, value in wanted.items() if value is not None}
    body = {**chosen, "limit": limit, "offset": offset}
    found = gateway.ask("POST", "/runs/search", body)
    if as_json:
        print_json(found)
    else:
        print_rows(_COLUMNS, found)


@RUNS.command()
@with_gateway
def show(run_id: RunArgument, *, as_json: JsonOption = False, gateway: Gateway) -> None:
    """Show one run."""
    run = find_run(gateway, run_id)
    if as_json:
        print_json(run)
    else:
        print_facts(run)


@RUNS.command()
@with_gateway
def cancel(
    run_id: RunArgument,
    *,
    action: Annotated[
        CancelAction, typer.Option(help="rollback removes the run, and what it changed.")
    ] = CancelAction.INTERRUPT,
    wait: Annotated[bool, typer.Option("--wait", help="Return once it has ended.")] = False,
    as_json: JsonOption = False,
    gateway: Gateway,
) -> None:
    """Stop a run; its worker is told, and the first wish counts."""
    run = find_run(gateway, run_id)
    params = {"action": action.value, "wait": "1" if wait else "0"}
    answer = gateway.ask("POST", f"{path_of(run)}/cancel", params=params)
    if as_json:
        print_json({"run_id": run_id, "run": answer})
    else:
        ERR.print(f"{run_id} has ended" if wait else f"{run_id} is being stopped")


@RUNS.command()
@with_gateway
def delete(run_id: RunArgument, *, as_json: JsonOption = False, gateway: Gateway) -> None:
    """Delete a run with its events and its file; one under way is stopped first."""
    run = find_run(gateway, run_id)
    gateway.ask("DELETE", path_of(run))
    if as_json:
        print_json({"run_id": run_id, "deleted": True})
    else:
        ERR.print(f"{run_id} is deleted")


def find_run(gateway: Gateway, run_id: str) -> dict[str, Any]:
    """Return a run by its id alone.

    Raises:
        InvalidIdError: The id is not one subject token; nothing was asked.
        GatewayRequestError: There is no such run for who asks, or the gateway did not answer.
    """
    found = gateway.ask("POST", "/runs/search", {"ids": [check_id("run_id", run_id)]})
    if not found:
        step = "see what there is with `jetrun runs list`"
        reason = f"there is no run {run_id}; {step}"
        raise GatewayRequestError(gateway.url, reason, status=_NOT_FOUND)
    run: dict[str, Any] = found[0]
    return run


def path_of(run: dict[str, Any]) -> str:
    """Return the path of a run."""
    return f"/threads/{run['thread_id']}/runs/{run['run_id']}"
