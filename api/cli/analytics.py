"""``jetrun query`` and ``jetrun export``: ask the archive with SQL, or take it elsewhere."""

from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import orjson
import typer
from rich.table import Table
from rich.text import Text

from api.cli.console import ERR, OUT
from api.cli.options import ConfigOption, DataOption, given
from api.settings import load_settings
from store import Analytics

#: A terminal shows no more; --json gives all.
MAX_SHOWN_ROWS: Final = 1000

ThreadOption = Annotated[str | None, typer.Option("--thread", metavar="ID", help="Only this one.")]
MemoryOption = Annotated[str, typer.Option(metavar="SIZE", help="What DuckDB may use.")]


def query(
    sql: Annotated[str, typer.Argument(help="A statement over the view `records`.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a row.")] = False,
    thread: ThreadOption = None,
    memory: MemoryOption = "1GB",
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Ask the archive with SQL (needs the extra `analytics`)."""
    with _analytics(data, config, thread, memory) as analytics:
        names, rows = analytics.query(sql)
        if as_json:
            for row in rows:
                content = dict(zip(names, row, strict=True))
                typer.echo(orjson.dumps(content, default=str).decode())
            return
        table = Table(*names)
        for row in islice(rows, MAX_SHOWN_ROWS):
            table.add_row(*(Text("" if value is None else str(value)) for value in row))
        OUT.print(table)
        if next(rows, None) is not None:
            ERR.print(f"only the first {MAX_SHOWN_ROWS} rows are shown; --json gives all")


def export(
    *,
    parquet: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    thread: ThreadOption = None,
    memory: MemoryOption = "1GB",
    data: DataOption = None,
    config: ConfigOption = None,
) -> None:
    """Write the archive into a Parquet file (needs the extra `analytics`)."""
    with _analytics(data, config, thread, memory) as analytics:
        count = analytics.export_parquet(parquet)
    OUT.print(f"{count} records in {parquet}")


def _analytics(
    data: Path | None, config: Path | None, thread: str | None, memory: str
) -> Analytics:
    settings = load_settings(given({"data": data, "config": config}))
    return Analytics(settings.data, thread_id=thread, memory_limit=memory)
