"""``jetrun backup`` and ``jetrun restore``: a system in a directory, and a system from it."""

from pathlib import Path
from typing import Annotated

import typer

from api.backup.manifest import Manifest
from api.backup.restoring import BackupSource, restore_backup
from api.backup.taking import take_backup
from api.cli.console import ERR, OUT, product
from api.cli.log import server_of
from api.cli.options import JsonOption, with_settings
from api.cli.waiting import finished
from api.settings import Settings

_MIB = 1 << 20


@with_settings
def backup(
    target: Annotated[Path, typer.Argument(metavar="DIR", help="New or empty.")],
    *,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Write log, state and archive of one moment into a directory, while everything works on."""

    async def work() -> Manifest:
        async with server_of(settings) as reached:
            return await take_backup(reached, target, product(), _show_size)

    _show(finished(work()), f"backup in {target}", as_json=as_json)


@with_settings
def restore(
    source: Annotated[Path, typer.Argument(metavar="DIR", help="What `jetrun backup` wrote.")],
    *,
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Make a system from a backup: on an empty server, in an empty data directory.

    No process of jetrun may be at work on them until this ends.
    """

    async def work() -> Manifest:
        found = BackupSource(source)
        async with server_of(settings, creates=True) as reached:
            await restore_backup(reached, found, lambda what: ERR.print(what, style="dim"))
        return found.manifest

    _show(finished(work()), "restored; start the processes, then `jetrun verify`", as_json=as_json)


def _show_size(what: str, size_bytes: int) -> None:
    ERR.print(f"{what}: {size_bytes / _MIB:.1f} MiB in all", style="dim")


def _show(manifest: Manifest, what: str, *, as_json: bool) -> None:
    if as_json:
        typer.echo(manifest.model_dump_json())
        return
    OUT.print(what)
    OUT.print(
        f"{manifest.files} files, {manifest.size_bytes / _MIB:.1f} MiB; the log up to sequence "
        f"{manifest.log_seq}"
    )
