"""The sink as a process of its own: ``python -m store.sink``, told everything by ``JETRUN_*``.

It ends in order on SIGTERM, at the end of a batch; on SIGKILL it loses nothing either.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bridge import BridgeError, BridgeSettings, JetStreamBridge, UnknownSettingError
from bridge.settings import (
    ENVIRONMENT_PREFIX,
    LogSettings,
    NatsSettings,
    Section,
    check_environment,
)
from store.errors import StoreError
from store.settings import ArchiveSettings
from store.sink import Sink

_LOG = logging.getLogger(__name__)

_RECONNECT_PAUSE_S: Final = 0.5
_STANDARD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


class ProcessLoggingSettings(Section):
    """How much the process tells on standard error, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class SinkProcessSettings(BaseSettings):
    """What the sink's process reads from its environment; sections of other roles are passed over.

    Attributes:
        nats: How to reach the NATS server.
        log: The event log.
        archive: The files.
        logging: What the process tells.
        data: The directory that holds the archive.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        # What is wrong may be a password.
        hide_input_in_errors=True,
    )

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    archive: ArchiveSettings = ArchiveSettings()
    logging: ProcessLoggingSettings = ProcessLoggingSettings()
    data: Path = Path(".jetrun")


def main() -> None:
    """Run a sink until SIGTERM or SIGINT; exits with 1 when it cannot go on."""
    try:
        check_environment(os.environ)
        settings = SinkProcessSettings()
    except (UnknownSettingError, ValidationError) as error:
        sys.exit(f"sink: {error}")
    _set_up_logging(settings.logging)
    try:
        uvloop.run(_run(settings))
    except (BridgeError, StoreError, OSError) as error:
        _LOG.critical("sink.failed", extra={"error": str(error), "kind": type(error).__name__})
        sys.exit(1)


async def _run(settings: SinkProcessSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bridge = JetStreamBridge(
        BridgeSettings(nats=settings.nats, log=settings.log), name="jetrun-sink"
    )
    if not await _start(bridge, stop):
        return
    try:
        await Sink(bridge, settings.data, settings.archive).run(stop)
    finally:
        await bridge.close()


async def _start(bridge: JetStreamBridge, stop: asyncio.Event) -> bool:
    """Connect, however long the server takes to appear; return whether it did before ``stop``."""
    while not stop.is_set():
        try:
            await bridge.start()
        except BridgeError as error:
            if not error.retryable:
                raise
            _LOG.warning("sink.bridge.failed", extra={"error": str(error)})
            try:
                async with asyncio.timeout(_RECONNECT_PAUSE_S):
                    await stop.wait()
            except TimeoutError:
                continue
        else:
            return True
    return False


def _set_up_logging(settings: ProcessLoggingSettings) -> None:
    handler = logging.StreamHandler(sys.stderr)
    if settings.format == "json" or (settings.format == "auto" and not sys.stderr.isatty()):
        handler.setFormatter(_JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=settings.level.upper(), handlers=[handler], force=True)


class _JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, event, and the facts given in ``extra``."""

    def format(self, record: logging.LogRecord) -> str:
        facts = {name: value for name, value in vars(record).items() if name not in _STANDARD}
        entry: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **facts,
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=repr, ensure_ascii=False)
