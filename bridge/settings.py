"""What the bridge can be told, with units in every name; one file for all defaults.

Frozen models: an entry point builds them once and passes them down.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FilePath, SecretStr, model_validator

from bridge.errors import UnknownSettingError

ENVIRONMENT_PREFIX: Final = "JETRUN_"

#: The top-level names that any process of the system understands in its environment.
SECTIONS: Final = frozenset(
    {
        "archive",
        "assistants",
        "auth",
        "checkpoints",
        "config",
        "data",
        "embedded",
        "expiry",
        "graphs",
        "http",
        "items",
        "limits",
        "log",
        "logging",
        "metrics",
        "nats",
        "read_model",
        "retention",
        "roles",
        "runs",
        "tracing",
        "webhooks",
        "worker",
    }
)

Seconds = Annotated[float, Field(gt=0, le=86_400 * 366)]
Token = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class Section(BaseModel):
    """Base of all settings: immutable, and a mistyped name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class NatsSettings(Section):
    """How to reach the NATS server, and how to prove to it who asks: in one way at most."""

    url: str = Field("nats://127.0.0.1:4222", description="one URL, or several with commas")
    user: str | None = None
    password: SecretStr | None = None
    token: SecretStr | None = None
    nkey: SecretStr | None = Field(None, description="the seed of one")
    credentials: FilePath | None = Field(None, description="a .creds file: a JWT with its seed")
    tls_ca: FilePath | None = Field(None, description="who signs the server's certificate, PEM")
    tls_cert: FilePath | None = Field(None, description="what this process shows, PEM")
    tls_key: FilePath | None = Field(None, description="the certificate's key, PEM")
    connect_timeout_s: Seconds = 5.0
    reconnect_wait_s: Seconds = Field(0.1, description="pause between attempts to reconnect")
    ping_interval_s: Seconds = Field(2.0, description="how often a sign of life is asked for")
    monitor_url: str | None = Field(
        None, description="HTTP monitoring of the server, or of several with commas; for the doctor"
    )
    sync_always: bool | None = Field(
        None, description="whether it syncs each write, where monitoring does not tell; likewise"
    )

    @model_validator(mode="after")
    def _one_way_and_whole(self) -> Self:
        ways = (self.user or self.password, self.token, self.nkey, self.credentials)
        if sum(map(bool, ways)) > 1:
            msg = "user and password, token, nkey and credentials exclude each other"
            raise ValueError(msg)
        if (self.tls_cert is None) is not (self.tls_key is None):
            msg = "tls_cert and tls_key belong together"
            raise ValueError(msg)
        return self


class LogSettings(Section):
    """The event log: its assets, its limits, and how long a call may wait for the server."""

    prefix: Token = Field("jetrun", description="first token of every subject")
    replicas: int = Field(1, ge=1, le=5)
    profile: Literal["archive", "cache"] = Field(
        "archive", description="cache keeps only the newest events of a run, and no archive"
    )
    max_bytes: int | None = Field(
        None, ge=1 << 20, description="of the whole log; None: what the server can reserve"
    )
    max_consumers: int = Field(1000, ge=1, description="named durable consumers on the log")
    consumer_idle_s: Seconds = Field(
        604_800.0, description="without use, after which a named consumer is removed"
    )
    max_dead_letters: int = Field(100_000, ge=1, description="kept; the oldest leave first")
    max_dead_letter_bytes: int = Field(256 << 20, ge=1 << 20, description="as above")
    dead_letter_age_s: Seconds = Field(604_800.0, description="how long a dead letter is kept")
    request_timeout_s: Seconds = Field(5.0, description="wait for one answer of the server")
    outage_budget_s: Seconds = Field(30.0, description="total wait for a server that is away")
    close_timeout_s: Seconds = Field(5.0, description="wait for writes in flight when closing")
    max_queued_events: int = Field(4096, ge=1, description="waiting per run; then publish waits")
    max_queued_bytes: int = Field(16 << 20, ge=1, description="waiting per run, as above")
    max_buffered_events: int = Field(
        1024, ge=16, description="per reader; one that lags further reads from the log"
    )
    max_concurrent_reads: int = Field(64, ge=1, description="history reads at one time")
    max_cached_runs: int = Field(10_000, ge=1, description="runs whose state a process remembers")


class RetentionSettings(Section):
    """How much of the log stays, and for how long."""

    max_events_per_run: int = Field(10_000, ge=1, description="kept per run; older ones leave")
    max_bytes_per_run: int = Field(
        10 << 20, ge=1024, description="payload kept per run; one larger event is refused"
    )
    max_runs: int = Field(100_000, ge=1, description="held by the log, ended ones included")
    max_runs_policy: Literal["lru", "reject"] = Field(
        "lru", description="lru: those that ended first leave for new ones; reject: none do"
    )
    terminal_ttl_s: Seconds = Field(300.0, description="from a run's end until its events leave")
    orphan_timeout_s: Seconds = Field(60.0, description="as above, when nobody reads it")
    max_age_s: Seconds = Field(86_400.0, description="as above, whoever reads it")
    no_publish_timeout_s: Seconds = Field(
        600.0, description="silence after which a run that nobody holds is ended"
    )
    awaiting_input_timeout_s: Seconds = Field(
        7200.0, description="as above, for a run that waits for its user"
    )
    unheld_grace_s: Seconds = Field(
        60.0, description="a silent run must be found unheld again after so long"
    )
    sweep_interval_s: Seconds = Field(30.0, description="in which each run is looked at once")
    capacity_poll_s: Seconds = Field(1.0, description="how often a process looks how full it is")
    deleted_ttl_s: Seconds = Field(
        86_400.0, ge=1, description="how long a deleted run's marker keeps late writers out"
    )


class CheckpointSettings(Section):
    """What a checkpoint may be."""

    max_bytes: int = Field(64 << 20, ge=1024, description="one checkpoint; a larger is refused")
    max_total_bytes: int | None = Field(
        None, ge=1 << 20, description="of all together; then they are refused; None: no limit"
    )
    max_concurrent_deletes: int = Field(16, ge=1, description="messages removed at one time")


class ItemSettings(Section):
    """What an item that processes share may be."""

    max_bytes: int = Field(1 << 20, ge=1024, description="one item; a larger one is refused")
    max_total_bytes: int | None = Field(
        None, ge=1 << 20, description="of all together; then they are refused; None: no limit"
    )
    max_concurrent_calls: int = Field(32, ge=1, description="of one batch, at one time")


class MetricsSettings(Section):
    """Where processes that serve nothing else tell their figures; by default nowhere."""

    host: str = Field("127.0.0.1", min_length=1, description="address of these ports")
    worker_port: int | None = Field(
        None, ge=0, le=65_535, description="for /metrics and /health of a worker; None: no port"
    )
    sink_port: int | None = Field(None, ge=0, le=65_535, description="the same of a sink")


class TracingSettings(Section):
    """Whether each event's way is traced with OpenTelemetry."""

    enabled: bool = Field(default=False, description="needs the extra otel")


class BridgeSettings(Section):
    """Everything that a bridge needs to know."""

    nats: NatsSettings = NatsSettings()
    log: LogSettings = LogSettings()
    retention: RetentionSettings = RetentionSettings()
    checkpoints: CheckpointSettings = CheckpointSettings()
    items: ItemSettings = ItemSettings()
    tracing: TracingSettings = TracingSettings()


def check_environment(environ: Mapping[str, str]) -> None:
    """Refuse names that look like settings and are none, because a mistyped one does nothing.

    Raises:
        UnknownSettingError: A variable starts with ``JETRUN_`` and names no section.
    """
    for name in environ:
        if not name.upper().startswith(ENVIRONMENT_PREFIX):
            continue
        section = name[len(ENVIRONMENT_PREFIX) :].split("__", 1)[0].lower()
        if section not in SECTIONS:
            near = get_close_matches(section, SECTIONS, n=1)
            raise UnknownSettingError(name, near[0] if near else None)
