"""``jetrun threads``: look at threads, delete them."""

from typing import Annotated, Final

import typer

from api.cli.console import ERR
from api.cli.gateway import Gateway, with_gateway
from api.cli.options import JsonOption
from api.cli.output import print_facts, print_json, print_rows
from bridge import check_id
from runs import ThreadStatus

THREADS = typer.Typer(help="Threads: list, show, delete.", no_args_is_help=True)

_COLUMNS: Final = ("thread_id", "status", "updated_at", "metadata")

_ThreadArgument = Annotated[str, typer.Argument(metavar="THREAD_ID", help="The thread.")]


@THREADS.command("list")
@with_gateway
def list_threads(
    *,
    status: Annotated[ThreadStatus | None, typer.Option(help="What they do. [any]")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many.")] = 0,
    as_json: JsonOption = False,
    gateway: Gateway,
) -> None:
    """Show threads, those changed last before others."""
    chosen = {} if status is None else {"status": status.value}
    found = gateway.ask("POST", "/threads/search", {**chosen, "limit": limit, "offset": offset})
    if as_json:
        print_json(found)
    else:
        print_rows(_COLUMNS, found)


@THREADS.command()
@with_gateway
def show(thread_id: _ThreadArgument, *, as_json: JsonOption = False, gateway: Gateway) -> None:
    """Show one thread, with the final values of its last run."""
    thread = gateway.ask("GET", f"/threads/{check_id('thread_id', thread_id)}")
    if as_json:
        print_json(thread)
    else:
        print_facts(thread)


@THREADS.command()
@with_gateway
def delete(thread_id: _ThreadArgument, *, as_json: JsonOption = False, gateway: Gateway) -> None:
    """Delete a thread with all its runs and crons."""
    gateway.ask("DELETE", f"/threads/{check_id('thread_id', thread_id)}")
    if as_json:
        print_json({"thread_id": thread_id, "deleted": True})
    else:
        ERR.print(f"{thread_id} is deleted")
