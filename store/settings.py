"""What the archive can be told, with units in every name."""

from typing import Annotated

from pydantic import Field

from bridge.settings import Seconds, Section

#: What is kept for years.
Age = Annotated[float, Field(gt=0)]


class ArchiveSettings(Section):
    """How the sink gathers, writes and acknowledges events."""

    max_batch_events: int = Field(1000, ge=1, le=10_000, description="written and synced together")
    flush_interval_s: Seconds = Field(
        0.02, description="gathering time of a batch, counted from its first events"
    )
    fetch_wait_s: Seconds = Field(
        0.5, description="wait for events before looking at the stop signal again"
    )
    ack_wait_s: Seconds = Field(
        10.0, description="after this long an unacknowledged event is delivered again"
    )
    max_ack_pending: int = Field(
        10_000, ge=1, description="events delivered and not yet acknowledged"
    )
    max_open_files: int = Field(256, ge=1, description="least recently written ones are closed")
    max_parallel_syncs: int = Field(8, ge=1, le=64, description="files synced to disk at one time")
    max_hole_events: int = Field(
        500, ge=1, description="read from the log and written at one time to fill a hole"
    )
    standby_poll_s: Seconds = Field(0.2, description="pause between attempts to take the lock")
    mark_interval_s: Seconds = Field(
        5.0, description="how often the archive notes the sequence that it has reached"
    )
    max_backoff_s: Seconds = Field(
        5.0, description="longest pause between attempts when server or disk fail"
    )
    compress_after_s: Age | None = Field(
        3600.0, description="after its last event an ended run's file is compressed; None: never"
    )
    compress_min_bytes: int = Field(
        16 << 10, ge=1, description="smaller files are left as they are"
    )
    max_age_s: Age | None = Field(
        None, description="after its last event an ended run leaves the archive; None: never"
    )
    max_bytes: int | None = Field(
        None, ge=1 << 20, description="above it the oldest ended runs leave; None: no limit"
    )
    upkeep_interval_s: Seconds = Field(
        60.0, description="pause between two looks at what to compress and to let go"
    )
    status_interval_s: Seconds = Field(
        1.0, le=5, description="how often the sink says how it is, and looks whether it shall pause"
    )
