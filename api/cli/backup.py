"""``jetrun backup`` and ``jetrun restore``: a system in a directory, and a system from it."""

from pathlib import Path
from typing import Annotated

import typer

from api.backup.manifest import Manifest
from api.backup.restoring import BackupSource, restore_backup
from api.backup.taking import take_backup
from api.cli.console import ERR, OUT, product
from api.cli.log import server_of
from api.cli.options import ConfigOption, DataOption, NatsOption, given
from api.settings import load_settings
from api.signals import run_until_signalled

_MIB = 1 << 20


def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write log, state and archive of one moment into a directory, while everything works on."""
    settings = load_settings(given({"nats.url": nats, "data": data, "config": config}))
    done: list[Manifest] = []

    async def work() -> None:
        async with server_of(settings) as reached:
            done.append(await take_backup(reached, target, product(), _show_size))

    run_until_signalled(work())
    _show(done, f"backup in {target}", as_json=as_json)


def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="What `jetrun backup` wrote.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="The manifest as JSON.")] = False,
    nats: NatsOption = None,
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Make a system from a backup: on an empty server, in an empty data directory.

    No process of jetrun may be at work on them until this ends.
    """
    settings = load_settings(given({"nats.url": nats, "data": data, "config": config}))
    done: list[Manifest] = []

    async def work() -> None:
        found = BackupSource(source)
        async with server_of(settings, creates=True) as reached:
            await restore_backup(reached, found, lambda what: ERR.print(what, style="dim"))
        done.append(found.manifest)

    run_until_signalled(work())
    _show(
        done,
        "restored; start the processes, and see that `jetrun verify` is clean",
        as_json=as_json,
    )


def _show_size(what: str, size_bytes: int) -> None:
    ERR.print(f"{what}: {size_bytes / _MIB:.1f} MiB in all", style="dim")


def _show(done: list[Manifest], what: str, *, as_json: bool) -> None:
    if not done:
        raise typer.Exit(1)  # interrupted
    manifest = done[0]
    if as_json:
        typer.echo(manifest.model_dump_json())
        return
    OUT.print(what)
    OUT.print(
        f"{manifest.files} files, {manifest.size_bytes / _MIB:.1f} MiB; the log up to sequence "
        f"{manifest.log_seq}"
    )
