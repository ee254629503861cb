"""The demonstration itself: ask the built-in agent about a file, and lose what can be lost.

The same question is asked twice: once undisturbed, as a measure, and once while connections are cut
and processes are killed. What must hold at the end is checked, not assumed.
"""

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from api.client import RunStream
from api.demo.client import post
from api.demo.incidents import Incident, Incidents
from api.demo.ledger import ReceivedEvents
from api.demo.report import Report
from api.demo.run_file import await_complete
from api.demo.screen import Screen
from api.demo.stage import Stage
from api.settings import Settings
from api.startup_errors import StartupError
from bridge import RunRef
from store.layout import ArchiveLayout

DEADLINE_S: Final = 80.0
ASSISTANT: Final = "passages"

#: How long the disturbed run is stretched to, so that it is still going on when things break.
RUN_S: Final = 12.0
_PACES_S: Final = (0.005, 0.05)


class DemoDeadlineError(StartupError):
    """The demonstration did not come to its end; its processes were stopped."""

    def __init__(self, logs: Path) -> None:
        super().__init__(f"the demo did not finish within {DEADLINE_S:g} s; see {logs}")


class UndisturbedRunError(StartupError):
    """Not even the run without cuts and kills went well: the agent cannot use the document."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"the undisturbed run did not succeed: {problem}")


@dataclass(frozen=True)
class Document:
    """What the agent is asked about.

    Attributes:
        name: For people.
        text: The content.
        question: None asks the agent's own one.
    """

    name: str
    text: str
    question: str | None = None


async def run_demo(document: Document, settings: Settings, logs: Path, screen: Screen) -> bool:
    """Run the demonstration and show it.

    Args:
        document: What the agent works on.
        settings: Of all processes, with a port for the gateway and a directory for the data.
        logs: Directory for what the processes tell.
        screen: Where it is shown.

    Returns:
        Whether every event arrived once, in order, and is in the archive.

    Raises:
        DemoDeadlineError: It took too long.
        StartupError: A process did not start, or the gateway was away for too long.
        BridgeError: The NATS server did not start.
    """
    try:
        async with asyncio.timeout(DEADLINE_S), Stage(settings, logs) as stage:
            screen.say(f"started {_process_list(stage)}", "dim")
            async with aiohttp.ClientSession() as session:
                story = _Story(document, stage, session, screen)
                report = await story.tell(ArchiveLayout(settings.data))
                report.show(screen)
                return report.is_clean
    except TimeoutError as exc:
        raise DemoDeadlineError(logs) from exc


def _process_list(stage: Stage) -> str:
    return ", ".join(f"{name} (pid {pid})" for name, pid in stage.processes.items())


class _Story:
    """The two runs, on processes that are ready."""

    def __init__(
        self, document: Document, stage: Stage, session: aiohttp.ClientSession, screen: Screen
    ) -> None:
        self._document = document
        self._stage = stage
        self._session = session
        self._screen = screen

    async def tell(self, archive: ArchiveLayout) -> Report:
        """Run twice, and return what there is to say about the second time."""
        size = len(self._document.text.encode())
        self._screen.say(f"sending {self._document.name} ({size} bytes) to the agent {ASSISTANT!r}")
        calm = ReceivedEvents()
        _, stream = await self._start_run(pace_s=0.0)
        await self._follow(stream, calm)
        if calm.problems:
            raise UndisturbedRunError(calm.problems[0])
        self._screen.say(f"undisturbed: {len(calm)} events; now with cuts and kills", "bold")
        disturbed = ReceivedEvents()
        run, stream = await self._start_run(pace_s=_pace_s(len(calm)))
        incidents = self._plan(stream)
        with self._screen:
            await self._follow(stream, disturbed, incidents, expected=len(calm))
        lines = await await_complete(archive.run(run))
        problems = [
            *disturbed.problems,
            *disturbed.differences_to_run(calm),
            *disturbed.differences_to_file(lines),
            *(f"the run ended before: {name}" for name in incidents.waiting),
        ]
        return Report(disturbed, archive.run(run), lines, problems, incidents.past, stream.resumes)

    async def _start_run(self, *, pace_s: float) -> tuple[RunRef, RunStream]:
        thread = await post(self._session, f"{self._stage.url}/threads", {})
        runs_url = f"{self._stage.url}/threads/{thread['thread_id']}/runs"
        given: dict[str, Any] = {"text": self._document.text, "pace_s": pace_s}
        if self._document.question is not None:
            given["question"] = self._document.question
        created = await post(self._session, runs_url, {"assistant_id": ASSISTANT, "input": given})
        run = RunRef(thread["thread_id"], created["run_id"])
        return run, RunStream(self._session, f"{runs_url}/{run.run_id}/stream")

    def _plan(self, stream: RunStream) -> Incidents:
        async def cut() -> None:
            stream.cut()

        return Incidents(
            (
                Incident(0.2, "cut of our SSE connection", cut),
                Incident(0.3, "SIGKILL of nats-server", self._stage.kill_server, is_kill=True),
                Incident(0.4, "cut of our SSE connection", cut),
                # Last, because the gateway takes longest to come back.
                Incident(0.6, "SIGKILL of the gateway", self._stage.kill_gateway, is_kill=True),
            )
        )

    async def _follow(
        self,
        stream: RunStream,
        received: ReceivedEvents,
        incidents: Incidents | None = None,
        *,
        expected: int = 0,
    ) -> None:
        connections = 1
        async with aclosing(stream.messages()) as messages:
            async for message in messages:
                if stream.connections != connections:
                    connections = stream.connections
                    self._screen.say(f"resumed with Last-Event-ID {received.last_id}", "green")
                received.add(message)
                if incidents is None or received.has_ended:
                    continue
                self._screen.show(message, len(received), expected)
                happened = await incidents.advance(len(received) / expected)
                if happened is not None:
                    self._screen.say(f"{happened} after event {message.id}", "bold yellow")


def _pace_s(events: int) -> float:
    shortest, longest = _PACES_S
    return min(longest, max(shortest, RUN_S / events))
