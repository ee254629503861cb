"""``jetrun worker``, and what ``jetrun sink`` becomes: one role as a service of its own."""

import os
from collections.abc import Mapping
from typing import Annotated, NoReturn

import typer

from api.cli.options import ConfigOption, NatsOption, given, warn_of_config
from api.environment import environment_without_gateways
from api.settings import load_settings
from api.supervisor import python_module


def worker(
    *,
    nats: NatsOption = None,
    config: ConfigOption = None,
    concurrency: Annotated[
        int | None, typer.Option(min=1, help="Runs executed at one time.")
    ] = None,
) -> None:
    """Execute runs: this process becomes a worker, without any of the gateway's code."""
    options = {"nats.url": nats, "config": config, "worker.concurrency": concurrency}
    become("runs.worker", options)


def become(module: str, options: Mapping[str, object]) -> NoReturn:
    """Put a role's process in the place of this one."""
    settings = load_settings(given(options))
    warn_of_config(settings)
    environment = environment_without_gateways(settings)
    command = python_module(module)
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter and module
