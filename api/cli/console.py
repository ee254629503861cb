"""What the commands print on: standard output for results, standard error for what went wrong."""

import re
from importlib.metadata import version
from typing import Final

from rich.console import Console
from rich.text import Text

#: Long lines are left to the terminal, so that URLs and ids can be copied and piped. Paths and
#: errors of others are among what is printed: their brackets and colons are no markup.
OUT: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
ERR: Final = Console(highlight=False, markup=False, emoji=False, soft_wrap=True, stderr=True)

#: Controls but tab and line feed, what turns text around, lone surrogates.
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(text: str) -> str:
    r"""Return a text of others; what a terminal would obey is written as ``\u001b``."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_error(message: str, next_step: str | None) -> None:
    """Print one red line that says what went wrong and what to do.

    Args:
        message: What went wrong.
        next_step: What to do; None where the message says it.
    """
    step = "" if next_step is None else f"; next: {next_step}"
    ERR.print(Text.assemble(("error: ", "bold red"), (printable(message), "red"), step))


def product() -> str:
    """Return the name and version of what is installed."""
    return f"jetrun {version('jetrun')}"
