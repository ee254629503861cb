"""The archive: every event of the log in JSONL files, one file a run.

The sink (:class:`store.sink.Sink`, and ``python -m store.sink``) writes them exactly once; readers
see whole records only.
"""

from store.analytics import Analytics
from store.cold_tier import ArchiveColdTier
from store.errors import (
    AnalyticsMissingError,
    ArchiveLockedError,
    ArchiveMarkError,
    DamagedFileError,
    EmptyArchiveError,
    ErasureDelayedError,
    InvalidPageError,
    InvalidPayloadError,
    LogReplacedError,
    MalformedLineError,
    NewerArchiveError,
    QueryError,
    RunNotArchivedError,
    RunSeqHoleError,
    StoreError,
)
from store.event_store import RunEventStore
from store.findings import Finding, FindingKind, RunReport
from store.jetstream_store import JetStreamRunEventStore
from store.jsonl_store import JsonlRunEventStore
from store.layout import ArchiveLayout
from store.memory_store import MemoryRunEventStore
from store.new_record import NewRecord
from store.reader import ArchiveReader
from store.record import Record, decode_event, encode_line, parse_line
from store.repair import Repair, Repairer
from store.run_lines import MalformedLine
from store.settings import ArchiveSettings
from store.sink_status import SinkRecords, SinkState, SinkStatus
from store.tiers import RunTiers
from store.verify import Verifier

__all__ = [
    "Analytics",
    "AnalyticsMissingError",
    "ArchiveColdTier",
    "ArchiveLayout",
    "ArchiveLockedError",
    "ArchiveMarkError",
    "ArchiveReader",
    "ArchiveSettings",
    "DamagedFileError",
    "EmptyArchiveError",
    "ErasureDelayedError",
    "Finding",
    "FindingKind",
    "InvalidPageError",
    "InvalidPayloadError",
    "JetStreamRunEventStore",
    "JsonlRunEventStore",
    "LogReplacedError",
    "MalformedLine",
    "MalformedLineError",
    "MemoryRunEventStore",
    "NewRecord",
    "NewerArchiveError",
    "QueryError",
    "Record",
    "Repair",
    "Repairer",
    "RunEventStore",
    "RunNotArchivedError",
    "RunReport",
    "RunSeqHoleError",
    "RunTiers",
    "SinkRecords",
    "SinkState",
    "SinkStatus",
    "StoreError",
    "Verifier",
    "decode_event",
    "encode_line",
    "parse_line",
]
