"""Tokens per model and seconds per tool out of the archive: once with DuckDB, once with Polars.

Usage: ``python archive_sums.py [DATA]`` with the archive's directory (default .jetrun). Nothing has
to run. It needs ``pip install "jetrun[analytics]" polars``. DuckDB reads the files where they lie.
Polars reads an export, because it takes no file whose last line is being written.
"""

import sys
import tempfile
from pathlib import Path

import polars as pl

from store import Analytics

SUMS = """
    SELECT coalesce(content->>'model', content->>'name') AS name,
           sum((coalesce(content->>'tokens', content->>'seconds'))::DOUBLE) AS total
    FROM records WHERE event_type IN ('usage', 'tool') GROUP BY ALL ORDER BY name
"""


def with_duckdb(data: Path) -> dict[str, float]:
    """Ask the files."""
    with Analytics(data) as analytics:
        _, rows = analytics.query(SUMS)
        return dict(rows)


def with_polars(export: Path) -> dict[str, float]:
    """Scan an export; ``content`` is JSON in it, which Polars takes for bytes."""

    def fact(name: str) -> pl.Expr:
        return pl.col("content").cast(pl.String).str.json_path_match(f"$.{name}")

    sums = (
        pl.scan_parquet(export)
        .filter(pl.col("event_type").is_in(["usage", "tool"]))
        .group_by(pl.coalesce(fact("model"), fact("name")).alias("name"))
        .agg(pl.coalesce(fact("tokens"), fact("seconds")).cast(pl.Float64).sum().alias("total"))
        .sort("name")
        .collect()
    )
    return dict(sums.iter_rows())


def main(data: Path) -> None:
    """Print the sums twice."""
    print("duckdb", with_duckdb(data))
    with tempfile.TemporaryDirectory() as directory:
        export = Path(directory) / "records.parquet"
        with Analytics(data) as analytics:
            analytics.export_parquet(export)
        print("polars", with_polars(export))


if __name__ == "__main__":
    main(Path(*sys.argv[1:2] or [".jetrun"]))
