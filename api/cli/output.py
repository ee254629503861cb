"""What commands print: tables and lists of facts for people, JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import typer
from rich.table import Column, Table

from api.cli.console import OUT, printable


def print_json(content: Any) -> None:
    """Print one JSON document on one line."""
    typer.echo(json.dumps(content, ensure_ascii=False))


def print_rows(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table; the first column holds what other commands are given.

    Args:
        columns: The names of what is shown.
        rows: May hold more than that.
    """
    first, *others = columns
    table = Table(Column(first, no_wrap=True), *others, box=None)
    for row in rows:
        table.add_row(*(_shown(row.get(name)) for name in columns))
    OUT.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print what is known of one thing, a line each."""
    table = Table(show_header=False, box=None)
    for name, value in facts.items():
        table.add_row(name, _shown(value))
    OUT.print(table)


def _shown(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return printable(value)
        case _:
            return printable(json.dumps(value, ensure_ascii=False, default=str))
