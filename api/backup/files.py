"""The files of a backup that is being made: each is measured while it is written."""

import asyncio
import hashlib
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from api.backup.errors import BackupTargetError
from api.backup.manifest import BACKUP_VERSION, INDEX, MANIFEST, FileEntry, Manifest
from bridge.backup.streams import Put, TakenStream
from store.jsonl import replace_file


class BackupFiles:
    """Writes a backup into a directory that is new or empty; nobody else may read it.

    Args:
        root: The directory.

    Raises:
        BackupTargetError: It is not empty.
        OSError: It cannot be made or written.
    """

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True)
        found = next(root.iterdir(), None)
        if found is not None:
            raise BackupTargetError(str(root), found.name)
        root.chmod(0o700)  # it holds what only operators may read
        self.root = root
        self.count = 0
        self.size_bytes = 0
        self._index = (root / INDEX).open("xb")

    @asynccontextmanager
    async def create(self, name: str) -> AsyncGenerator[Put]:
        """Begin a file; it is complete when the context ends."""
        with self.writing(name) as file:

            async def put(content: bytes) -> None:
                await asyncio.to_thread(file.write, content)

            yield put

    @contextmanager
    def writing(self, name: str, modified_ns: int = 0) -> "Iterator[MeasuredFile]":
        """Begin a file, for one that blocks; it is complete when the context ends.

        Args:
            name: Its path below the directory.
            modified_ns: The time of the file that it is a copy of.
        """
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as opened:
            file = MeasuredFile(opened)
            yield file
        entry = FileEntry(
            name=name,
            size_bytes=file.size_bytes,
            sha256=file.digest.hexdigest(),
            modified_ns=modified_ns,
        )
        self._index.write(entry.model_dump_json().encode() + b"\n")
        self.count += 1
        self.size_bytes += file.size_bytes

    def finish(self, product: str, log_seq: int, streams: list[TakenStream]) -> Manifest:
        """Make everything durable, and then say that it is a backup."""
        self._index.close()
        manifest = Manifest(
            version=BACKUP_VERSION,
            product=product,
            created_at=datetime.now(UTC),
            log_seq=log_seq,
            streams=tuple(streams),
            files=self.count,
            size_bytes=self.size_bytes,
            index_sha256=hashlib.sha256((self.root / INDEX).read_bytes()).hexdigest(),
        )
        # One call for any number of files.
        os.sync()
        replace_file(self.root / MANIFEST, manifest.model_dump_json(indent=2).encode() + b"\n")
        return manifest


class MeasuredFile:
    """Writes, and knows what it has written."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.size_bytes = 0

    def write(self, content: bytes) -> None:
        """Write the next bytes."""
        self._file.write(content)
        self.digest.update(content)
        self.size_bytes += len(content)
