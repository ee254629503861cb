"""The commands as a part of docs/cli.md; ``python -m api.cli.reference docs/cli.md`` renews it.

What stands above the mark in that page is written by hand.
"""

import sys
from collections.abc import Iterator, Sequence
from inspect import cleandoc
from pathlib import Path
from typing import Final

import typer
from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption

from api.cli.program import APP

MARK: Final = "<!-- What follows is made by `python -m api.cli.reference docs/cli.md`. -->\n"


def renewed(page: str) -> str:
    """Return a page with what follows its mark made anew."""
    return page.partition(MARK)[0] + MARK + commands()


def commands() -> str:
    """Return all commands with their arguments and options."""
    command = typer.main.get_group(APP)
    context = typer.Context(command, info_name="jetrun")
    return "".join(_sections(command, context))


def _sections(command: TyperCommand | TyperGroup, context: typer.Context) -> Iterator[str]:
    if isinstance(command, TyperGroup):
        if command.invoke_without_command:
            yield from _section(command, context)
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if isinstance(inner, TyperCommand | TyperGroup):
                below = typer.Context(inner, info_name=name, parent=context)
                yield from _sections(inner, below)
    else:
        yield from _section(command, context)


def _section(command: TyperCommand | TyperGroup, context: typer.Context) -> Iterator[str]:
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n### {context.command_path}\n\n"
    yield f"`{context.command_path} {usage}`\n\n"
    yield f"{cleandoc(command.help or '')}\n"
    yield from _table(command.params, context)


def _table(parameters: Sequence[object], context: typer.Context) -> Iterator[str]:
    shown = [each for each in parameters if isinstance(each, TyperArgument | TyperOption)]
    records = [each.get_help_record(context) for each in shown]
    if any(records):
        yield "\n| argument or option | meaning |\n|---|---|\n"
    for record in filter(None, records):
        name, text = (" ".join(part.replace("|", " or ").split()) for part in record)
        yield f"| `{name}` | {text} |\n"


if __name__ == "__main__":
    path = Path(sys.argv[1])
    path.write_text(renewed(path.read_text()))
