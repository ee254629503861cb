"""The demonstration itself: send a file to the built-in agent and lose connection after connection.

What must hold at the end is checked, not assumed: every event arrived once and in order, and the
archive holds the same events.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from api.demo.client import post
from api.demo.incidents import Incident, Incidents
from api.demo.ledger import ReceivedEvents, count_file, is_complete, read_lines
from api.demo.screen import Screen
from api.demo.stage import Stage
from api.run_stream import RunStream
from api.settings import Settings
from api.startup_errors import StartupError
from bridge.subjects import RunRef
from store.layout import ArchiveLayout

DEADLINE_S: Final = 80.0
ASSISTANT: Final = "passages"

_ARCHIVE_POLL_S = 0.05
_ARCHIVE_PATIENCE_S = 15.0


class DemoDeadlineError(StartupError):
    """The demonstration did not come to its end; its processes were stopped."""

    def __init__(self, logs: Path) -> None:
        super().__init__(f"the demo did not finish within {DEADLINE_S:g} s; see {logs}")


@dataclass(frozen=True)
class Document:
    """What the agent is asked about."""

    name: str
    text: str
    question: str


async def run_demo(document: Document, settings: Settings, screen: Screen) -> bool:
    """Run the demonstration and show it.

    Args:
        document: What the agent works on.
        settings: Of all processes, with a port for the gateway and a directory for the data.
        screen: Where it is shown.

    Returns:
        Whether every event arrived once, in order, and is in the archive.

    Raises:
        DemoDeadlineError: It took too long.
        StartupError: A process did not start, or the gateway was away for too long.
        BridgeError: The NATS server did not start.
    """
    try:
        async with asyncio.timeout(DEADLINE_S), Stage(settings) as stage:
            screen.say(f"started {_process_list(stage)}", "dim")
            async with aiohttp.ClientSession() as session:
                return await _Story(document, stage, session, screen).tell(settings.data)
    except TimeoutError as exc:
        raise DemoDeadlineError(settings.data / "logs") from exc


def _process_list(stage: Stage) -> str:
    return ", ".join(f"{name} (pid {pid})" for name, pid in stage.processes.items())


class _Story:
    """One run of the demonstration on processes that are ready."""

    def __init__(
        self, document: Document, stage: Stage, session: aiohttp.ClientSession, screen: Screen
    ) -> None:
        self._document = document
        self._stage = stage
        self._session = session
        self._screen = screen
        self._received = ReceivedEvents()

    async def tell(self, data: Path) -> bool:
        """Start the run, follow it through everything, compare and report."""
        run = await self._start_run()
        url = f"{self._stage.url}/threads/{run.thread_id}/runs/{run.run_id}/stream"
        stream = RunStream(self._session, url)
        incidents = self._plan(stream)
        with self._screen:
            await self._follow(stream, incidents)
        path = ArchiveLayout(data).run(run)
        lines = await self._archived(path)
        problems = [
            *self._received.problems,
            *self._received.differences(lines),
            *(f"the run ended before this could happen: {name}" for name in incidents.waiting),
        ]
        self._report(stream, path, lines, problems)
        return not problems

    async def _start_run(self) -> RunRef:
        thread = await post(self._session, f"{self._stage.url}/threads", {})
        thread_id = thread["thread_id"]
        body = {
            "assistant_id": ASSISTANT,
            "input": {"text": self._document.text, "question": self._document.question},
        }
        run = await post(self._session, f"{self._stage.url}/threads/{thread_id}/runs", body)
        size = len(self._document.text.encode())
        self._screen.say(f"sent {self._document.name} ({size} bytes) to {ASSISTANT!r}", "bold")
        self._screen.say(f"asked: {self._document.question}", "bold")
        return RunRef(thread_id, run["run_id"])

    def _plan(self, stream: RunStream) -> Incidents:
        async def cut() -> None:
            stream.cut()

        return Incidents(
            (
                Incident(0.2, "cut the SSE connection", cut),
                Incident(0.3, "SIGKILL of the gateway", self._stage.kill_gateway),
                Incident(0.4, "cut the SSE connection again", cut),
                Incident(0.6, "SIGKILL of nats-server", self._stage.kill_server),
            )
        )

    async def _follow(self, stream: RunStream, incidents: Incidents) -> None:
        connections = 0
        async with aclosing(stream.messages()) as messages:
            async for message in messages:
                if stream.connections != connections and connections:
                    self._screen.say(f"resumed after {self._received.last_id}", "green")
                connections = stream.connections
                self._received.add(message)
                self._screen.show(message)
                happened = await incidents.advance(self._screen.share)
                if happened is not None:
                    self._screen.say(f"{happened}, last event {message.id}", "bold yellow")

    async def _archived(self, path: Path) -> list[dict[str, Any]]:
        # The sink follows the log by itself, a moment later.
        async with asyncio.timeout(_ARCHIVE_PATIENCE_S):
            while True:
                lines = await asyncio.to_thread(read_lines, path)
                if is_complete(lines):
                    return lines
                await asyncio.sleep(_ARCHIVE_POLL_S)

    def _report(
        self, stream: RunStream, path: Path, lines: list[dict[str, Any]], problems: list[str]
    ) -> None:
        for problem in problems:
            self._screen.say(f"problem: {problem}", "bold red")
        if not problems:
            count = len(self._received)
            self._screen.say(
                f"all {count} events arrived once and in order, and the archive holds the same",
                "bold green",
            )
        self._screen.say(f"archive: {path}")
        counts = count_file(path, lines)
        self._screen.table(
            "counted from the file",
            [
                *((f"events {name}", str(count)) for name, count in counts.events.items()),
                ("events in all", str(counts.events.total())),
                ("bytes", str(counts.size_bytes)),
                ("duration", f"{counts.duration_s:.1f} s"),
                ("resumes", str(stream.resumes)),
                ("kills", str(self._stage.kills)),
            ],
        )
