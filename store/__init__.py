"""The archive: every event of the log in JSONL files, one file a run.

The sink (:class:`store.sink.Sink`, and ``python -m store.sink``) writes them exactly once; readers
see whole records only.
"""

from store.cold_tier import ArchiveColdTier
from store.errors import (
    ArchiveLockedError,
    ArchiveMarkError,
    InvalidPageError,
    InvalidPayloadError,
    LogReplacedError,
    MalformedLineError,
    RunSeqHoleError,
    StoreError,
)
from store.event_store import RunEventStore
from store.jetstream_store import JetStreamRunEventStore
from store.jsonl_store import JsonlRunEventStore
from store.layout import ArchiveLayout
from store.memory_store import MemoryRunEventStore
from store.new_record import NewRecord
from store.reader import ArchiveReader
from store.record import Record, decode_event, encode_line, parse_line
from store.run_lines import MalformedLine
from store.settings import ArchiveSettings

__all__ = [
    "ArchiveColdTier",
    "ArchiveLayout",
    "ArchiveLockedError",
    "ArchiveMarkError",
    "ArchiveReader",
    "ArchiveSettings",
    "InvalidPageError",
    "InvalidPayloadError",
    "JetStreamRunEventStore",
    "JsonlRunEventStore",
    "LogReplacedError",
    "MalformedLine",
    "MalformedLineError",
    "MemoryRunEventStore",
    "NewRecord",
    "Record",
    "RunEventStore",
    "RunSeqHoleError",
    "StoreError",
    "decode_event",
    "encode_line",
    "parse_line",
]
