"""The program ``jetrun``: its commands, and how expected errors end it."""

import sys
from typing import Annotated

import typer

from api.cli.analytics import export, query
from api.cli.archive import repair, verify
from api.cli.assistants import ASSISTANTS
from api.cli.backup import backup, restore
from api.cli.console import OUT, print_error, product
from api.cli.demo import demo
from api.cli.doctor import doctor
from api.cli.keys import KEYS
from api.cli.next_steps import next_step
from api.cli.publish import publish
from api.cli.roles import worker
from api.cli.runs import RUNS
from api.cli.serve import serve
from api.cli.sink import sink
from api.cli.streams import STREAMS
from api.cli.tail import tail
from api.cli.threads import THREADS
from api.client import GatewayRequestError
from api.startup_errors import StartupError
from bridge import BridgeError
from runs import RunsError
from store import StoreError

_HELP = "Durable, resumable runs on NATS JetStream."
#: Who asks a gateway needs no more than its URL and a key; who operates reaches NATS and the files.
_ASKING = "Ask a gateway"
_OPERATING = "Operate: NATS and the data directory"

APP = typer.Typer(name="jetrun", help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False)
for _command in (serve, worker, sink, demo):
    APP.command(rich_help_panel="Processes")(_command)
for _command in (tail, publish):
    APP.command(rich_help_panel=_ASKING)(_command)
for _name, _group in (("runs", RUNS), ("threads", THREADS), ("assistants", ASSISTANTS)):
    APP.add_typer(_group, name=_name, rich_help_panel=_ASKING)
for _command in (doctor, verify, repair, query, export, backup, restore):
    APP.command(rich_help_panel=_OPERATING)(_command)
for _name, _group in (("keys", KEYS), ("streams", STREAMS)):
    APP.add_typer(_group, name=_name, rich_help_panel=_OPERATING)


def main() -> None:
    """Run the command line; expected errors end it with status 1 and one line with what to do."""
    try:
        APP()
    except (StartupError, GatewayRequestError, BridgeError, RunsError, StoreError) as exc:
        print_error(str(exc), next_step(exc))
        sys.exit(1)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the library calls it so
    if wanted:
        OUT.print(product())
        raise typer.Exit


@APP.callback()
def _options(
    *,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version, and exit."
        ),
    ] = False,
) -> None:
    """Read the options that come before a command."""
