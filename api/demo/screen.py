"""What the demonstration shows: a progress bar below lines on a terminal, plain lines elsewhere."""

from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from api.client import SseMessage

#: Characters of an event's data shown in one line.
MAX_SHOWN_DATA: Final = 100

#: Events that come by the hundred: they move the bar, the others get a line each.
_BRIEF: Final = frozenset({"messages", "custom"})
_STEP: Final = 0.1


class Screen:
    """Shows a run as it arrives.

    Args:
        console: Where. Without a terminal behind it, a line for each tenth replaces the bar.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} events"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", style="dim"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("", total=None)
        self._next_step = _STEP

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
        self._console.print(Text(text, style))

    def show(self, message: SseMessage, number: int, total: int) -> None:
        """Show that an event has arrived, ``number`` of ``total``."""
        latest = f"{message.id} {message.event}"
        self._progress.update(self._task, completed=number, total=total, description=latest)
        if message.event not in _BRIEF:
            data = message.data
            if len(data) > MAX_SHOWN_DATA:
                data = f"{data[:MAX_SHOWN_DATA]}..."
            name = (f"{message.event:<12} ", "cyan")
            self._console.print(Text.assemble((f"{message.id:>10} ", "dim"), name, data))
        elif not self._console.is_terminal and number >= self._next_step * total:
            self.say(f"{message.id:>10} {message.event:<12} {number} of {total} events", "dim")
        while number >= self._next_step * total:
            self._next_step += _STEP

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Print facts, one a row."""
        table = Table(title=title, title_justify="left", show_header=False)
        table.add_column(style="dim")
        table.add_column(justify="right")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)
