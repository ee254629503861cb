"""The archive: every event of the log in JSONL files, one file a run.

The sink (:class:`store.sink.Sink`, and ``python -m store.sink``) writes them exactly once; readers
see whole records only.
"""

from store.cold_tier import ArchiveColdTier
from store.errors import (
    ArchiveLockedError,
    ArchiveMarkError,
    InvalidPayloadError,
    LogReplacedError,
    MalformedLineError,
    RunSeqHoleError,
    StoreError,
)
from store.layout import ArchiveLayout
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
    "InvalidPayloadError",
    "LogReplacedError",
    "MalformedLine",
    "MalformedLineError",
    "Record",
    "RunSeqHoleError",
    "StoreError",
    "decode_event",
    "encode_line",
    "parse_line",
]
