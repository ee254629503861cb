"""Options that several commands share, and the settings that they give.

An option that was not given is None, so that environment, file and default decide.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

DataOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--data", help="Directory of the archive and of an embedded NATS server."),
]
NatsOption: TypeAlias = Annotated[
    str | None, typer.Option("--nats", metavar="URL", help="Use this NATS server.")
]
ConfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--config", help="jetrun.toml, or a langgraph.json for its graphs."),
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
