"""Options that several commands share, and the settings that they give.

An option that was not given is None, so that environment, file and default decide.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer
from rich.text import Text

from api.cli.console import ERR
from api.config_file import config_warnings
from api.settings import Settings

DataOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data", help="Directory of the archive and of an embedded NATS server."),
]
NatsOption: TypeAlias = Annotated[
    str | None, typer.Option("--nats", metavar="URL", help="Use this NATS server.")
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="jetrun.toml, or a langgraph.json."),
]


def given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given, in the shape of the settings.

    Args:
        options: Values by the dotted name of their setting, for example ``http.port``; those that
            are None were not given.
    """
    settings: dict[str, Any] = {}
    for name, value in options.items():
        if value is None:
            continue
        *sections, field = name.split(".")
        target = settings
        for section in sections:
            target = target.setdefault(section, {})
        target[field] = value
    return settings


def warn_of_config(settings: Settings) -> None:
    """Print what people should know of the configuration file, a yellow line each."""
    for warning in config_warnings(settings.config) if settings.config is not None else ():
        ERR.print(Text.assemble(("warning: ", "bold yellow"), f"{settings.config}: {warning}"))
