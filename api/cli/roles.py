"""``jetrun worker`` and ``jetrun sink``: one role as a service of its own."""

import os
from collections.abc import Mapping
from typing import Annotated

import typer

from api.cli.options import ConfigOption, DataOption, NatsOption, given, warn_of_config
from api.environment import child_environment
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
    _become("runs.worker", options)


def sink(
    *,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the archive: this process becomes the sink of a data directory."""
    _become("store.sink", {"nats.url": nats, "data": data, "config": config})


def _become(module: str, options: Mapping[str, object]) -> None:
    settings = load_settings(given(options))
    warn_of_config(settings)
    environment = child_environment(settings)
    command = python_module(module)
    os.execve(command[0], command, environment)  # noqa: S606 - our own interpreter and module
