"""Keep child processes running: started together, started again when they die, stopped in order.

No child outlives this process, even when this process is SIGKILLed.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from bridge.server.parent_guard import ParentGuard

_LOG = logging.getLogger(__name__)

FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 10.0
#: A child that lived this long was healthy: the next pause is the first one again.
HEALTHY_AFTER_S: Final = 10.0


@dataclass(frozen=True)
class ChildSpec:
    """One program to keep running.

    Attributes:
        name: What it is called in logs and messages.
        argv: The program and its arguments; no secrets, because everyone can list them.
        env: Its whole environment.
        log_path: The file that its output is appended to; None shares this process's.
        stop_grace_s: Seconds between SIGTERM and SIGKILL.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(repr=False)
    log_path: Path | None = None
    stop_grace_s: float = 15.0


def python_module(module: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours with this interpreter.

    ``-P`` keeps the working directory out of the module search: a user's project may have packages
    with the names of ours.
    """
    return (sys.executable, "-P", "-m", module)


class Child:
    """One supervised process; made and owned by a :class:`Supervisor`."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.starts = 0
        self._process: asyncio.subprocess.Process | None = None
        self._guard: ParentGuard | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process is not None else None

    async def start(self) -> None:
        """Spawn the process.

        Raises:
            OSError: It cannot be spawned, or its log file cannot be written.
        """
        log = self._open_log()
        try:
            with ParentGuard() as guard:
                self._process = await asyncio.create_subprocess_exec(
                    *guard.argv,
                    *self.spec.argv,
                    stdin=guard.stdin,
                    stdout=log,
                    stderr=log,
                    env=dict(self.spec.env),
                    # Ctrl-C in the terminal is for this process, which stops its children in order.
                    start_new_session=True,
                )
                self._guard = guard
        finally:
            if log is not None:
                log.close()
        self.starts += 1
        _LOG.info("child.started", extra={"child": self.spec.name, "pid": self.pid})

    async def wait(self) -> int:
        """Wait for the end of the process that runs now, and return its exit status."""
        if self._process is None:
            msg = f"{self.spec.name} does not run"
            raise RuntimeError(msg)
        status = await self._process.wait()
        self._process = None
        if self._guard is not None:
            self._guard.release()
            self._guard = None
        return status

    def kill(self) -> None:
        """Send SIGKILL, as a crash would; the supervisor starts the process again."""
        if self._process is not None:
            # It may have ended by itself without the loop knowing yet.
            with suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """End the process: SIGTERM, and SIGKILL after the grace or when this call is cancelled."""
        if self._process is None:
            return
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(self.spec.stop_grace_s):
                await self._process.wait()
        except TimeoutError:
            _LOG.warning("child.killed", extra={"child": self.spec.name})
        finally:
            self.kill()
            status = await self.wait()
            _LOG.info("child.stopped", extra={"child": self.spec.name, "status": status})

    def _open_log(self) -> IO[bytes] | None:
        return self.spec.log_path.open("ab") if self.spec.log_path is not None else None


class Supervisor:
    """Runs children while its context is open; start them in an order, they stop in the reverse.

    A child that dies is started again after a pause that doubles from 0.1 s to 10 s and begins
    anew once the child has lived 10 s. Use it on the main thread's event loop: with the kernel's
    way of guarding, children die with the thread that spawned them.
    """

    def __init__(self) -> None:
        self._keepers: list[tuple[Child, asyncio.Task[None]]] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self, spec: ChildSpec) -> Child:
        """Spawn a child and keep it running until :meth:`stop`.

        Raises:
            OSError: It cannot be spawned; nothing was left running.
        """
        child = Child(spec)
        await child.start()
        self._keepers.append((child, asyncio.create_task(_keep(child), name=f"keep {spec.name}")))
        return child

    async def stop(self) -> None:
        """Stop all children, the last one started first; harmless when none runs."""
        while self._keepers:
            child, keeper = self._keepers.pop()
            keeper.cancel()
            await asyncio.wait([keeper])
            await child.stop()


async def _keep(child: Child) -> None:
    pause_s = FIRST_PAUSE_S
    while True:
        started = time.monotonic()
        status = await child.wait()
        if time.monotonic() - started >= HEALTHY_AFTER_S:
            pause_s = FIRST_PAUSE_S
        facts = {"child": child.spec.name, "status": status, "pause_s": pause_s}
        _LOG.warning("child.died", extra=facts)
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 2, MAX_PAUSE_S)
        await _start_again(child)


async def _start_again(child: Child) -> None:
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            await child.start()
        except OSError as exc:
            # No memory or no descriptors: as passing as any other death.
            _LOG.warning("child.start_failed", extra={"child": child.spec.name, "error": str(exc)})
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, MAX_PAUSE_S)
        else:
            return
