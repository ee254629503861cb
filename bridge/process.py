"""A role as a process of its own: settings from the environment, logs, signals, a bridge.

The process ends in order on SIGTERM and SIGINT, waits for a server that is not there yet, and exits
with 1 and one line when it cannot go on.
"""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, TypeVar

import uvloop
from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from bridge.errors import BridgeError, UnknownSettingError
from bridge.garbage import collect_seldom
from bridge.jetstream import JetStreamBridge
from bridge.process_logs import LoggingSettings, set_up_logging
from bridge.settings import (
    ENVIRONMENT_PREFIX,
    BridgeSettings,
    CheckpointSettings,
    ItemSettings,
    LogSettings,
    MetricsSettings,
    NatsSettings,
    RetentionSettings,
    TracingSettings,
    check_environment,
)
from bridge.tracing.setup import set_up_tracing

_LOG = logging.getLogger("jetrun.process")

_RECONNECT_PAUSE_S: Final = 0.5


class ProcessSettings(BaseSettings):
    """What every role reads from its environment; sections of other roles are passed over."""

    model_config = SettingsConfigDict(
        frozen=True,
        env_prefix=ENVIRONMENT_PREFIX,
        env_nested_delimiter="__",
        # What is wrong may be a password.
        hide_input_in_errors=True,
    )

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    items: ItemSettings = ItemSettings()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()

    @property
    def bridge(self) -> BridgeSettings:
        """What the role's bridge needs to know."""
        return BridgeSettings(
            nats=self.nats,
            log=self.log,
            retention=self.retention,
            checkpoints=self.checkpoints,
            items=self.items,
            tracing=self.tracing,
        )


AnySettings = TypeVar("AnySettings", bound=ProcessSettings)
Serve = Callable[[AnySettings, JetStreamBridge, asyncio.Event], Awaitable[None]]


def run_process(
    role: str,
    settings_type: type[AnySettings],
    serve: Serve[AnySettings],
    expected: tuple[type[Exception], ...] = (),
) -> None:
    """Run a role until it is told to stop.

    Args:
        role: Its name, for logs and for the server's monitoring.
        settings_type: What it reads from ``JETRUN_*``.
        serve: Does the work with an open bridge until the event is set.
        expected: Errors besides BridgeError that end it with one line instead of a traceback.
    """
    try:
        check_environment(os.environ)
        settings = settings_type()
    except (UnknownSettingError, ValidationError) as error:
        sys.exit(f"{role}: {error}")
    set_up_logging(settings.logging)
    failures: tuple[type[Exception], ...] = (BridgeError, *expected)
    # Looking through what start-up made takes a third of the processor time of a burst.
    collect_seldom()
    try:
        set_up_tracing(settings.tracing, role)
        uvloop.run(_run(role, settings, serve))
    except failures as error:
        facts = {"role": role, "error": str(error), "kind": type(error).__name__}
        _LOG.critical("process.failed", extra=facts)
        sys.exit(1)


async def _run(role: str, settings: AnySettings, serve: Serve[AnySettings]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bridge = JetStreamBridge(settings.bridge, name=f"jetrun-{role}")
    if await _start(bridge, stop):
        try:
            await serve(settings, bridge, stop)
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
            _LOG.warning("process.waits_for_nats", extra={"error": str(error)})
            with suppress(TimeoutError):
                async with asyncio.timeout(_RECONNECT_PAUSE_S):
                    await stop.wait()
        else:
            return True
    return False
