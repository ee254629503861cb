"""How much a memory log keeps, and for how long."""

from typing import Literal

from pydantic import Field

from bridge.settings import Seconds, Section


class MemorySettings(Section):
    """How much a memory log keeps."""

    max_events_per_run: int = Field(256, ge=1, description="kept per run; older ones are evicted")
    max_bytes_per_run: int = Field(10 << 20, ge=1, description="kept per run, as above")
    max_runs: int = Field(1000, ge=1, description="kept, ended ones included")
    max_runs_policy: Literal["lru", "reject"] = Field(
        "lru", description="lru: the run that ended first leaves for a new one; reject: none does"
    )
    max_bytes: int = Field(
        1 << 30, ge=1024, description="data and metadata of all runs; ends find room in a reserve"
    )
    max_event_bytes: int = Field(
        (8 << 20) - 4096, ge=1, description="data and metadata of one event"
    )
    max_event_ids_per_run: int = Field(1000, ge=1, description="callers' own ids remembered")
    terminal_ttl_s: Seconds = Field(300.0, description="from a run's end until its events leave")
    orphan_timeout_s: Seconds = Field(60.0, description="as above, when nobody reads it")
    max_age_s: Seconds = Field(86_400.0, description="as above, whoever reads it")
    no_publish_timeout_s: Seconds = Field(
        600.0, description="silence after which a run that nobody holds is ended"
    )
    awaiting_input_timeout_s: Seconds = Field(
        7200.0, description="as above, for a run that waits for its user"
    )
    sweep_interval_s: Seconds = Field(30.0, description="between two looks at all runs")
    max_consumers: int = Field(1000, ge=1, description="named durable consumers")
    consumer_idle_s: Seconds = Field(
        604_800.0, description="without use, after which a named consumer is removed"
    )
    max_dead_letters: int = Field(1000, ge=1, description="kept; the oldest leave first")
    max_tombstones: int = Field(
        100_000, ge=1, description="deleted records remembered, so that they cannot come back"
    )
