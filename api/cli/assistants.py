"""``jetrun assistants``: what can be run."""

from typing import Annotated, Final
from urllib.parse import quote

import typer

from api.cli.gateway import Gateway, with_gateway
from api.cli.options import JsonOption
from api.cli.output import print_facts, print_json, print_rows

ASSISTANTS = typer.Typer(help="Assistants: list, show.", no_args_is_help=True)

_COLUMNS: Final = ("assistant_id", "name", "graph_id", "version")


@ASSISTANTS.command("list")
@with_gateway
def list_assistants(
    *,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 100,
    offset: Annotated[int, typer.Option(min=0, help="Pass over so many.")] = 0,
    as_json: JsonOption = False,
    gateway: Gateway,
) -> None:
    """Show assistants, those that clients made before declared ones."""
    found = gateway.ask("POST", "/assistants/search", {"limit": limit, "offset": offset})
    if as_json:
        print_json(found)
    else:
        print_rows(_COLUMNS, found)


@ASSISTANTS.command()
@with_gateway
def show(
    assistant: Annotated[str, typer.Argument(metavar="ASSISTANT", help="Its id or its name.")],
    *,
    as_json: JsonOption = False,
    gateway: Gateway,
) -> None:
    """Show one assistant."""
    found = gateway.ask("GET", f"/assistants/{quote(assistant, safe='')}")
    if as_json:
        print_json(found)
    else:
        print_facts(found)
