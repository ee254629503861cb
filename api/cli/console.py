"""What the commands print on: standard output for results, standard error for what went wrong."""

from importlib.metadata import version
from typing import Final

from rich.console import Console
from rich.text import Text

#: Long lines are left to the terminal, so that URLs and ids can be copied and piped. Paths and
#: errors of others are among what is printed: their brackets and colons are no markup.
OUT: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
ERR: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)


def print_error(message: str, next_step: str | None) -> None:
    """Print one red line that says what went wrong and what to do.

    Args:
        message: What went wrong.
        next_step: What to do; None where the message says it.
    """
    step = "" if next_step is None else f"; next: {next_step}"
    ERR.print(Text.assemble(("error: ", "bold red"), (message, "red"), step))


def product() -> str:
    """Return the name and version of what is installed."""
    return f"jetrun {version('jetrun')}"
