"""The program ``jetrun``: its commands, and how expected errors end it."""

import sys
from typing import Annotated

import typer

from api.cli.analytics import export, query
from api.cli.archive import repair, verify
from api.cli.backup import backup, restore
from api.cli.console import OUT, print_error, product
from api.cli.demo import demo
from api.cli.doctor import doctor
from api.cli.keys import KEYS
from api.cli.roles import worker
from api.cli.serve import serve
from api.cli.sink import sink
from api.cli.streams import streams
from api.cli.tail import tail
from api.client import GatewayRequestError
from api.startup_errors import StartupError
from bridge import BridgeError
from runs import RunsError
from store import StoreError

_HELP = "Durable, resumable runs on NATS JetStream."

_APP = typer.Typer(name="jetrun", help=_HELP, no_args_is_help=True, pretty_exceptions_enable=False)
for _command in (
    serve,
    worker,
    sink,
    streams,
    tail,
    doctor,
    verify,
    repair,
    query,
    export,
    backup,
    restore,
    demo,
):
    _APP.command()(_command)
_APP.add_typer(KEYS, name="keys")


def main() -> None:
    """Run the command line; expected errors end it with one red line and exit status 1."""
    try:
        _APP()
    except (StartupError, GatewayRequestError, BridgeError, RunsError, StoreError) as exc:
        print_error(str(exc))
        sys.exit(1)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - the library calls it so
    if wanted:
        OUT.print(product())
        raise typer.Exit


@_APP.callback()
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
