"""The worker as a process of its own, told everything by ``JETRUN_*`` variables.

It ends in order on SIGTERM or SIGINT: running runs get time to finish, the rest is handed back.
"""

import asyncio
import json
import logging
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final, Literal

import uvloop
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bridge import (
    BridgeError,
    BridgeSettings,
    JetStreamBridge,
    LogSettings,
    NatsSettings,
    Section,
    UnknownSettingError,
    check_environment,
)
from runs.catalog import AssistantCatalog
from runs.settings import AssistantName, AssistantSettings, WorkerSettings
from runs.worker import Worker

_LOG = logging.getLogger("jetrun.worker")

_RECONNECT_PAUSE_S: Final = 0.5
_STANDARD: Final = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})


class ProcessLoggingSettings(Section):
    """How much the process tells on standard error, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "text"] = "auto"


class WorkerProcessSettings(BaseSettings):
    """What a worker's process reads; sections of other roles are passed over."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix="JETRUN_",
        env_nested_delimiter="__",
        # What is wrong may be a password.
        hide_input_in_errors=True,
    )

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    logging: ProcessLoggingSettings = ProcessLoggingSettings()
    worker: WorkerSettings = WorkerSettings()
    assistants: dict[AssistantName, AssistantSettings] = Field(default_factory=dict)


def main() -> None:
    """Run a worker until SIGTERM or SIGINT; exits with 1 when it cannot go on."""
    try:
        check_environment(os.environ)
        settings = WorkerProcessSettings()
    except (UnknownSettingError, ValidationError) as error:
        sys.exit(f"worker: {error}")
    _set_up_logging(settings.logging)
    try:
        uvloop.run(_run(settings))
    except BridgeError as error:
        _LOG.critical("worker.failed", extra={"error": str(error), "kind": type(error).__name__})
        sys.exit(1)


async def _run(settings: WorkerProcessSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bridge = JetStreamBridge(
        BridgeSettings(nats=settings.nats, log=settings.log), name="jetrun-worker"
    )
    if not await _start(bridge, stop):
        return
    try:
        worker = Worker(bridge, AssistantCatalog(settings.assistants), settings.worker)
        await worker.serve(stop)
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
            _LOG.warning("worker.bridge.failed", extra={"error": str(error)})
            with suppress(TimeoutError):
                async with asyncio.timeout(_RECONNECT_PAUSE_S):
                    await stop.wait()
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
