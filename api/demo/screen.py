"""What the demonstration shows: a progress bar and lines on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from api.sse_client import SseMessage

#: Characters of an event's data shown in one line.
MAX_SHOWN_DATA: Final = 90


class Screen:
    """Shows a run as it arrives.

    Args:
        console: Where; without a terminal behind it nothing is drawn twice.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            TextColumn("{task.completed} events"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, start=False)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def say(self, text: str, style: str = "") -> None:
        """Print one line that stays."""
        self._progress.console.print(Text(text, style))

    def begin(self, total: int) -> None:
        """Set how many events are expected; an estimate is enough."""
        self._progress.start_task(self._task)
        self._progress.update(self._task, total=total)

    def show(self, message: SseMessage, *, is_brief: bool) -> None:
        """Show that an event has arrived.

        Args:
            message: The event.
            is_brief: Whether it is one of very many, which only move the bar.
        """
        self._progress.update(self._task, advance=1, description=f"{message.id} {message.event}")
        if not is_brief:
            data = message.data
            if len(data) > MAX_SHOWN_DATA:
                data = f"{data[:MAX_SHOWN_DATA]}..."
            line = Text.assemble(
                (f"{message.id:>10} ", "dim"), (f"{message.event:<12} ", "cyan"), data
            )
            self._progress.console.print(line)

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Print facts, one a row."""
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column(style="dim")
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)
