"""``jetrun serve``: everything on this machine, with one command."""

from typing import Annotated

import typer
from rich.text import Text

from api.cli.console import OUT, product
from api.cli.options import ConfigOption, DataOption, NatsOption, given, warn_of_config
from api.settings import load_settings, shown_settings
from api.signals import run_until_signalled
from api.stack import run_stack
from bridge import set_up_logging, set_up_tracing

_EXAMPLE = (
    "curl -N {url}/runs/stream -H 'content-type: application/json' "
    """-d '{{"assistant_id": "echo", "input": {{"text": "hello"}}}}'"""
)


def serve(  # noqa: PLR0913 - one parameter for each option
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on. [127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port; 0 takes a free one. [2024]")
    ] = None,
    data: DataOption = None,
    nats: NatsOption = None,
    roles: Annotated[
        str | None, typer.Option(help="Which of gateway,worker,sink to run. [all]")
    ] = None,
    config: ConfigOption = None,
    allow_unauthenticated: Annotated[
        bool | None,
        typer.Option("--allow-unauthenticated", help="Listen beyond this machine all the same."),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings in force, and exit.")
    ] = False,
) -> None:
    """Run the API with its worker and archive; without --nats, a NATS server as well."""
    settings = load_settings(
        given(
            {
                "http.host": host,
                "http.port": port,
                "http.allow_unauthenticated": allow_unauthenticated,
                "data": data,
                "nats.url": nats,
                "roles": roles,
                "config": config,
            }
        )
    )
    if print_config:
        typer.echo(shown_settings(settings))
        return
    set_up_logging(settings.logging)
    set_up_tracing(settings.tracing, "gateway")
    warn_of_config(settings)
    run_until_signalled(run_stack(settings, _announce))


def _announce(url: str) -> None:
    OUT.print(Text.assemble((f"{product()} is ready at "), (url, "bold green")))
    OUT.print(Text.assemble(("  try   ", "dim"), _EXAMPLE.format(url=url)))
    OUT.print(Text.assemble(("  stop  ", "dim"), "Ctrl-C"))
