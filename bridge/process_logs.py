"""Logging of a process: standard library, one line for each event.

An event is a constant dotted name with its facts in ``extra``, beside those of the task's context.
Content that users sent is never one of them. The messages of foreign exceptions may quote it, and
are left out of tracebacks; our own say nothing that was sent, but ids.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field

from bridge.log_context import log_context
from bridge.settings import Section

#: What every record has; the rest of its attributes are the facts that were given in ``extra``.
_STANDARD: Final = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"}
)


class LoggingSettings(Section):
    """How much a process tells, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = Field(
        "auto", description="auto: text on a terminal, else JSON"
    )

    def resolved(self) -> "LoggingSettings":
        """Return these settings with ``auto`` decided by this process's standard error."""
        if self.format != "auto":
            return self
        form: Literal["json", "text"] = "text" if sys.stderr.isatty() else "json"
        return self.model_copy(update={"format": form})


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the facts."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; facts without a JSON form are shown as their ``repr``."""
        entry: dict[str, Any] = {
            "time": _instant(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_facts(record),
        }
        if record.exc_info:
            entry["exception"] = _told(record.exc_info[1])
        return json.dumps(entry, default=repr, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """The same facts for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the traceback when there is one."""
        facts = "".join(f" {name}={value}" for name, value in _facts(record).items())
        time = datetime.fromtimestamp(record.created).astimezone()
        line = f"{time:%H:%M:%S} {record.levelname.lower():<7} {record.getMessage()}{facts}"
        if record.exc_info:
            line = f"{line}\n{_told(record.exc_info[1])}"
        return line


def set_up_logging(settings: LoggingSettings, path: Path | None = None) -> None:
    """Say where the records of this process go; replaces what was set up before.

    Args:
        settings: Level and form.
        path: The file that they are appended to; None means standard error.
    """
    handler = logging.StreamHandler(sys.stderr) if path is None else logging.FileHandler(path)
    text = settings.resolved().format == "text"
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)


def _instant(record: logging.LogRecord) -> str:
    instant = datetime.fromtimestamp(record.created, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {**log_context(), **given}


def _told(error: BaseException | None) -> str:
    """Return the traceback of an error and of those that it came from, without foreign messages."""
    parts: list[str] = []
    while error is not None:
        said = f": {error}" if hasattr(error, "code") and hasattr(error, "retryable") else ""
        frames = "".join(traceback.format_tb(error.__traceback__))
        parts.append(f"{frames}{type(error).__qualname__}{said}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nwhich came from\n".join(parts)
