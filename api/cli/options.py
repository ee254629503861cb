"""Options that several commands share, and what they give.

An option that was not given is None, so that environment, file and default decide.
"""

import inspect
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Final, TypeAlias

import typer
from rich.text import Text

from api.cli.console import ERR
from api.config_file import config_warnings
from api.settings import Settings, load_settings

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
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]

Command: TypeAlias = Callable[..., None]

_SETTING_OF_OPTION: Final = {"nats": "nats.url", "data": "data", "config": "config"}
_OPTIONS: Final = {"nats": NatsOption, "data": DataOption, "config": ConfigOption}


def with_settings(command: Command) -> Command:
    """Give a command the options ``--nats``, ``--data`` and ``--config``.

    Args:
        command: Has a parameter ``settings``, which gets what they, the environment and the file
            say.
    """

    def make(**options: Any) -> Settings:
        return load_settings(
            given({_SETTING_OF_OPTION[name]: value for name, value in options.items()})
        )

    return replace_parameter(command, "settings", _OPTIONS, make)


def replace_parameter(
    command: Command, name: str, options: Mapping[str, Any], make: Callable[..., Any]
) -> Command:
    """Return a command with options in the place of a parameter that is made of them.

    Args:
        command: The command.
        name: Its parameter.
        options: The annotation of each option by its name; all may be left out.
        make: Gets what the options say by name, and returns what the parameter gets.
    """

    @wraps(command)
    def wrapper(*arguments: Any, **rest: Any) -> None:
        made = make(**{option: rest.pop(option) for option in options})
        command(*arguments, **rest, **{name: made})

    signature = inspect.signature(command, eval_str=True)
    kept = [each for each in signature.parameters.values() if each.name != name]
    added = [
        inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
        for option, kind in options.items()
    ]
    # What typer reads; the wrapper itself takes anything.
    wrapper.__signature__ = signature.replace(parameters=[*kept, *added])  # type: ignore[attr-defined]
    return wrapper


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
