"""``jetrun worker``, and what ``jetrun sink`` becomes: one role as a service of its own."""

import os
from typing import Annotated, NoReturn

import typer

from api.cli.options import ConfigOption, NatsOption, given, warn_of_config
from api.environment import environment_without_gateways
from api.settings import Settings, load_settings
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
    become("runs.worker", load_settings(given(options)))


def become(module: str, settings: Settings) -> NoReturn:
    """Put a role's process in the place of this one."""
    warn_of_config(settings)
    environment = environment_without_gateways(settings)
    command = python_module(module)
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter and module
