"""``jetrun query`` and ``jetrun export``: ask the archive with SQL, or take it elsewhere."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.table import Table

from api.cli.console import ERR, OUT, printable
from api.cli.options import JsonOption, with_settings
from api.cli.output import print_json
from api.settings import Settings
from store import Analytics

#: A terminal shows no more; --json gives all.
MAX_SHOWN_ROWS: Final = 1000

ThreadOption = Annotated[str | None, typer.Option("--thread", metavar="ID", help="Only this one.")]
MemoryOption = Annotated[str, typer.Option(metavar="SIZE", help="What DuckDB may use.")]


@with_settings
def query(
    sql: Annotated[str, typer.Argument(help="A statement over the view `records`.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
    thread: ThreadOption = None,
    memory: MemoryOption = "1GB",
    settings: Settings,
) -> None:
    """Ask the archive with SQL (needs the extra `analytics`)."""
    with Analytics(settings.data, thread_id=thread, memory_limit=memory) as analytics:
        names, rows = analytics.query(sql)
        if as_json:
            for row in rows:
                content = dict(zip(names, row, strict=True))
                typer.echo(orjson.dumps(content, default=str).decode())
            return
        table = Table(*names)
        for row in islice(rows, MAX_SHOWN_ROWS):
            table.add_row(*("" if value is None else printable(str(value)) for value in row))
        OUT.print(table)
        if next(rows, None) is not None:
            ERR.print(f"only the first {MAX_SHOWN_ROWS} rows are shown; --json gives all")


@with_settings
def export(
    *,
    parquet: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    thread: ThreadOption = None,
    memory: MemoryOption = "1GB",
    as_json: JsonOption = False,
    settings: Settings,
) -> None:
    """Write the archive into a Parquet file (needs the extra `analytics`)."""
    with Analytics(settings.data, thread_id=thread, memory_limit=memory) as analytics:
        count = analytics.export_parquet(parquet)
    if as_json:
        print_json({"records": count, "file": str(parquet)})
    else:
        OUT.print(f"{count} records in {parquet}")
