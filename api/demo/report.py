"""The end of the demonstration: what held, what did not, and the figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.demo.incidents import Incident
from api.demo.ledger import ReceivedEvents
from api.demo.run_file import count_file
from api.demo.screen import Screen

#: The agent tells its answer in events of this name, a word each.
WORD_EVENT: Final = "messages"
MAX_SHOWN_PROBLEMS: Final = 10
MAX_SHOWN_ANSWER: Final = 3


@dataclass(frozen=True)
class Report:
    """What came of the disturbed run.

    Attributes:
        received: What arrived over SSE.
        path: The run's file in the archive.
        lines: What the file holds.
        problems: What should have held and did not.
        incidents: What was cut and killed.
        resumes: How many times the stream went on over a new connection.
    """

    received: ReceivedEvents
    path: Path
    lines: list[dict[str, Any]]
    problems: Sequence[str]
    incidents: Sequence[Incident]
    resumes: int

    @property
    def is_clean(self) -> bool:
        """Whether everything held."""
        return not self.problems

    def show(self, screen: Screen) -> None:
        """Print it."""
        for problem in self.problems[:MAX_SHOWN_PROBLEMS]:
            screen.say(f"problem: {problem}", "bold red")
        if len(self.problems) > MAX_SHOWN_PROBLEMS:
            screen.say(f"and {len(self.problems) - MAX_SHOWN_PROBLEMS} more", "bold red")
        if self.is_clean:
            count = len(self.received)
            screen.say(
                f"all {count} events arrived once and in order, as in the undisturbed run, "
                f"and the file holds the same {len(self.lines)}",
                "bold green",
            )
        for line in self._answer()[:MAX_SHOWN_ANSWER]:
            screen.say(f"  {line}", "dim")
        screen.say(f"archive: {self.path}")
        if self.lines:
            screen.table("counted from the file", self._rows())

    def _answer(self) -> list[str]:
        outputs = [line["content"] for line in self.lines if line["event_type"] == "values"]
        return str(outputs[-1]["answer"]).split("\n") if outputs else []

    def _rows(self) -> list[tuple[str, str]]:
        counts = count_file(self.path, self.lines)
        kills = sum(incident.is_kill for incident in self.incidents)
        return [
            *((f"events: {name}", str(count)) for name, count in counts.events.items()),
            ("events in all", str(counts.events.total())),
            ("tokens", str(counts.events[WORD_EVENT])),
            ("bytes", str(counts.size_bytes)),
            ("duration", f"{counts.duration_s:.1f} s"),
            ("resumes", str(self.resumes)),
            ("kills", str(kills)),
        ]
