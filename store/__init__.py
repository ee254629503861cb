"""The archive: every event of the log in JSONL files, one file a run.

The sink (:class:`store.sink.Sink`, and ``python -m store.sink``) writes them exactly once; readers
see whole records only.
"""

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
from store.reader import ArchiveReader, MalformedLine
from store.record import Record, encode_line, parse_line
from store.settings import ArchiveSettings

__all__ = [
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
    "encode_line",
    "parse_line",
]
