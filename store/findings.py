"""What can be wrong with a run's file, and the report of one run."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict

from bridge import RunRef


class FindingKind(StrEnum):
    """What is wrong."""

    HOLE = "hole"
    DUPLICATE = "duplicate"
    ORDER = "order"
    DAMAGE = "damage"
    DIFFERENCE = "difference"


class Finding(BaseModel):
    """One thing that is wrong with a file.

    Attributes:
        kind: What it is.
        line_number: Where it was noticed, counted from 1; 0 when no line shows it.
        first_run_seq: The first event that it is about; 0 when that cannot be told.
        last_run_seq: The last one.
        detail: What is wrong, for a person to read.
        in_log: Whether the log holds the events, so that a repair brings them back; ``None`` when
            it was not asked.
    """

    model_config = ConfigDict(frozen=True)

    kind: FindingKind
    line_number: int
    first_run_seq: int
    last_run_seq: int
    detail: str
    in_log: bool | None = None


class RunReport(BaseModel):
    """What was found out about one run.

    Attributes:
        thread_id: The thread.
        run_id: The run.
        records: Sound records in its file.
        last_run_seq: The number of the last one.
        behind: Events that the log holds beyond it; the sink will write them.
        findings: What is wrong; the first hundred.
        finding_count: How many things are.
    """

    model_config = ConfigDict(frozen=True)

    thread_id: str
    run_id: str
    records: int
    last_run_seq: int
    behind: int
    findings: tuple[Finding, ...]
    finding_count: int

    @property
    def run(self) -> RunRef:
        """The run."""
        return RunRef(self.thread_id, self.run_id)

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong; a sink that is behind is not."""
        return self.finding_count == 0
