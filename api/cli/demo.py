"""``jetrun demo``: lose every connection there is, and no event."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from api.cli.console import OUT, product
from api.demo import Document, run_demo
from api.demo.screen import Screen
from api.listener import LOOPBACK
from api.settings import load_settings
from api.signals import run_until_signalled
from api.startup_errors import StartupError
from bridge import set_up_logging
from bridge.server.free_port import pick_free_port

MAX_FILE_BYTES = 1 << 20


class UnreadableDocumentError(StartupError):
    """The file cannot be given to the agent; nothing was started."""

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path}: {problem}; give a text file")
        self.path = path


def demo(
    file: Annotated[Path, typer.Argument(help="A text for the agent to read.")] = Path("README.md"),
    *,
    question: Annotated[str | None, typer.Option(help="What to ask about it.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", help="Directory for all files. [a temporary one]")
    ] = None,
) -> None:
    """Send a file to the built-in agent, kill parts of the system, show that nothing is lost."""
    document = Document(file.name, _read(file), question)
    directory = data or Path(tempfile.mkdtemp(prefix="jetrun-demo-"))
    port = pick_free_port(LOOPBACK)
    settings = load_settings({"data": directory, "http": {"host": LOOPBACK, "port": port}})
    logs = directory / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    set_up_logging(settings.logging, logs / "demo.log")
    OUT.print(f"{product()} demo", style="bold")
    outcome: list[bool] = []

    async def show() -> None:
        outcome.append(await run_demo(document, settings, logs, Screen(OUT)))

    run_until_signalled(show())
    if outcome != [True]:
        raise typer.Exit(1)


def _read(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise UnreadableDocumentError(path, f"cannot be read ({exc.strerror})") from exc
    if len(content) > MAX_FILE_BYTES:
        raise UnreadableDocumentError(path, f"is larger than {MAX_FILE_BYTES} bytes")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise UnreadableDocumentError(path, "is not UTF-8") from exc
    if not text.strip():
        raise UnreadableDocumentError(path, "is empty")
    return text
