"""What can be wrong with the server and its streams."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from api.doctor.report import Cause, Durability, Finding, Severity
from api.doctor.stores import Stores
from bridge import ServerFacts, StreamFacts
from bridge.retention.room import soft_limit
from bridge.topology import MIN_SERVER


class KnownLoss(NamedTuple):
    """What releases of the server were seen to lose.

    Attributes:
        first: The first of them.
        last: The last of them.
        what: What is lost, and when.
    """

    first: tuple[int, ...]
    last: tuple[int, ...]
    what: str


KNOWN_LOSSES: Final = (
    KnownLoss(
        first=(2, 12, 0),
        last=(2, 12, 1),
        what="acknowledged events, when servers join or leave a cluster during a partition, and "
        "whole streams, when files of a minority of servers are damaged",
    ),
)
#: Of what a limit allows, from which on it is said.
_NEARLY: Final = 0.9
#: Clocks further apart are wrong, not slow networks.
MAX_SKEW_S: Final = 1.0


def durability_of(events: StreamFacts, stores: Stores) -> Durability:
    """Return what an event survives once it is acknowledged."""
    if events.replicas > 1:
        return Durability.CLUSTER
    return Durability.MACHINE if stores.is_synced else Durability.PROCESS


def check_server(server: ServerFacts) -> Iterator[Finding]:
    """Look at the version, JetStream and the clock."""
    version = _numbers(server.version)
    if version[:2] < MIN_SERVER:
        yield Finding(
            cause=Cause.OLD_SERVER,
            severity=Severity.ERROR,
            detail=f"nats-server {server.version} lacks what events are stored with; processes "
            "refuse to start",
            advice=f"upgrade nats-server to {'.'.join(map(str, MIN_SERVER))} or later, "
            "one node after the other",
        )
    for loss in KNOWN_LOSSES:
        if loss.first <= version <= loss.last:
            yield Finding(
                cause=Cause.KNOWN_LOSS,
                severity=Severity.WARNING,
                detail=f"nats-server {server.version} was seen to lose {loss.what}",
                advice="upgrade nats-server to its newest release",
            )
    if not server.has_jetstream:
        yield no_jetstream("the server runs without JetStream")
    yield from _check_clock(server)


def no_jetstream(detail: str) -> Finding:
    """Say that nothing can be stored at all."""
    return Finding(
        cause=Cause.NO_JETSTREAM,
        severity=Severity.ERROR,
        detail=detail,
        advice="enable it: a section jetstream with a store_dir in the server's configuration, and "
        "one in the account",
    )


def _check_clock(server: ServerFacts) -> Iterator[Finding]:
    offset_s = server.clock_offset_s
    if offset_s is not None and abs(offset_s) > MAX_SKEW_S + server.clock_error_s:
        yield Finding(
            cause=Cause.CLOCK_SKEWED,
            severity=Severity.WARNING,
            detail=f"the server's clock is {abs(offset_s):.1f} s "
            f"{'ahead of' if offset_s > 0 else 'behind'} this machine's",
            advice="run NTP on both: timers, crons, retention and the expiry of credentials go by "
            "these clocks",
        )


def check_streams(server: ServerFacts, stores: Stores) -> Iterator[Finding]:
    """Look at what is stored, on how many servers, and how."""
    for name in server.missing if server.has_jetstream else ():
        yield Finding(
            cause=Cause.STREAM_MISSING,
            severity=Severity.NOTE,
            detail=f"stream {name} does not exist",
            advice="jetrun streams makes it, as does the first process whose user may; if there "
            "was one, restore a backup before",
        )
    for stream in server.streams:
        yield from _check_drift(stream)
        if stream.current_replicas < stream.replicas:
            yield Finding(
                cause=Cause.REPLICAS_LOST,
                severity=Severity.ERROR,
                detail=f"stream {stream.name} is whole on {stream.current_replicas} of "
                f"{stream.replicas} servers",
                advice="bring the other servers back, or let them catch up; with half of them gone "
                "nothing is stored",
            )
    if server.events is not None:
        yield from _check_log(server.events)
        yield from _check_sync(server.events, stores)


def _check_drift(stream: StreamFacts) -> Iterator[Finding]:
    for drift in stream.drifts:
        yield Finding(
            cause=Cause.STREAM_DRIFTED,
            severity=Severity.ERROR,
            detail=f"stream {stream.name}: {drift.field} is {drift.found!r}, the settings want "
            f"{drift.wanted!r}; processes refuse to start",
            advice="change the setting back, or the stream (nats stream edit), and restart",
        )


def _check_log(log: StreamFacts) -> Iterator[Finding]:
    if log.max_consumers is not None and log.consumers >= _NEARLY * log.max_consumers:
        is_full = log.consumers >= log.max_consumers
        yield Finding(
            cause=Cause.CONSUMER_CAP,
            severity=Severity.ERROR if is_full else Severity.WARNING,
            detail=f"the log has {log.consumers} of at most {log.max_consumers} consumers"
            + ("; no other name can be opened" if is_full else ""),
            advice="delete names that nobody uses, or lower JETRUN_LOG__CONSUMER_IDLE_S, or raise "
            "JETRUN_LOG__MAX_CONSUMERS and the stream's max_consumers",
        )
    limit = None if log.max_bytes is None else soft_limit(log.max_bytes)
    if limit is not None and log.bytes >= _NEARLY * limit:
        yield Finding(
            cause=Cause.LOG_NEARLY_FULL,
            severity=Severity.WARNING,
            detail=f"the log takes {log.bytes} bytes; at {limit} ordinary events are refused",
            advice="see that the sink keeps up, shorten JETRUN_RETENTION__TERMINAL_TTL_S, or give "
            "the log more room (JETRUN_LOG__MAX_BYTES and the stream's max_bytes)",
        )


def _check_sync(log: StreamFacts, stores: Stores) -> Iterator[Finding]:
    for url in stores.unanswered:
        yield Finding(
            cause=Cause.MONITORING_SILENT,
            severity=Severity.WARNING,
            detail=f"the server's monitoring at {url} did not answer",
            advice="correct JETRUN_NATS__MONITOR_URL, or let the server listen there (http in its "
            "configuration)",
        )
    if log.replicas > 1 or stores.is_synced or stores.unanswered:
        return
    if stores.is_synced is None:
        yield Finding(
            cause=Cause.SYNC_UNKNOWN,
            severity=Severity.NOTE,
            detail="one server has the log, and it is unknown whether it syncs each write",
            advice="set JETRUN_NATS__MONITOR_URL to its monitoring, or JETRUN_NATS__SYNC_ALWAYS to "
            "what its configuration says",
        )
        return
    yield Finding(
        cause=Cause.UNSYNCED,
        severity=Severity.WARNING,
        detail="one server has the log, and it syncs only now and then: a power cut can take "
        "acknowledged events",
        advice="set sync_interval to always in the server's configuration, or keep the log on "
        "three servers (JETRUN_LOG__REPLICAS=3)",
    )


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split("-", 1)[0].split(".")
    return tuple(int(part) for part in parts if part.isdigit())
