"""What the doctor says: how safe an acknowledged event is, and what is wrong."""

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

from pydantic import BaseModel, ConfigDict


class Severity(StrEnum):
    """How bad it is."""

    #: Worth knowing; nothing has to be done.
    NOTE = "note"
    #: It works, and something will be lost or refused when the next thing goes wrong.
    WARNING = "warning"
    #: Something is lost, refused or at a standstill now.
    ERROR = "error"


_RANKS: Final = {each: rank for rank, each in enumerate(Severity)}


class Cause(StrEnum):
    """What can be wrong; each has an entry in the runbook under its name."""

    SERVER_UNREACHABLE = "server-unreachable"
    ACCESS_DENIED = "access-denied"
    NO_JETSTREAM = "no-jetstream"
    OLD_SERVER = "old-server"
    KNOWN_LOSS = "known-loss"
    STREAM_MISSING = "stream-missing"
    STREAM_DRIFTED = "stream-drifted"
    REPLICAS_LOST = "replicas-lost"
    UNSYNCED = "unsynced"
    SYNC_UNKNOWN = "sync-unknown"
    MONITORING_SILENT = "monitoring-silent"
    CONSUMER_CAP = "consumer-cap"
    SINK_STOPPED = "sink-stopped"
    SINK_FAILING = "sink-failing"
    SINK_PAUSED = "sink-paused"
    SINK_BEHIND = "sink-behind"
    LOG_NEARLY_FULL = "log-nearly-full"
    DISK_NEARLY_FULL = "disk-nearly-full"
    CLOCK_SKEWED = "clock-skewed"


class Finding(BaseModel):
    """One thing that is wrong.

    Attributes:
        cause: What it is.
        severity: How bad it is.
        detail: What was seen.
        advice: What to do.
    """

    model_config = ConfigDict(frozen=True)

    cause: Cause
    severity: Severity
    detail: str
    advice: str


class Durability(StrEnum):
    """What an acknowledged event survives."""

    PROCESS = "process"
    MACHINE = "machine"
    CLUSTER = "cluster"


#: What each class means, for people.
SURVIVES: Final = {
    Durability.PROCESS: "the end of any process; a power cut can take the last two minutes",
    Durability.MACHINE: "a power cut too; the loss of the machine's disk takes the log",
    Durability.CLUSTER: "the loss of a machine; a power cut of all at once can take what was not "
    "synced, unless each write is",
}


class Report(BaseModel):
    """What an examination came to.

    Attributes:
        server_version: Of nats-server; ``None`` when it could not be reached.
        durability: What an acknowledged event survives; ``None`` when there is no log to ask.
        survives: The same in words.
        logical_bytes: What the streams take, by the server's accounting, which limits go by.
        disk_bytes: What its store takes on disk, where that is a disk of this machine.
        findings: What is wrong, the worst first.
    """

    model_config = ConfigDict(frozen=True)

    server_version: str | None
    durability: Durability | None
    survives: str | None
    logical_bytes: int | None
    disk_bytes: int | None
    findings: list[Finding]

    @property
    def worst(self) -> Severity | None:
        """The severity of the worst finding; ``None`` when there is none."""
        return self.findings[0].severity if self.findings else None


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of their severity."""
    return sorted(findings, key=lambda each: -_RANKS[each.severity])
