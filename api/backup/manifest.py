"""What a backup says of itself: written last, so that a directory with it is a whole backup."""

import hashlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Final

import orjson
from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from api.backup.errors import DamagedBackupError, NewerBackupError
from bridge.backup.streams import TakenStream

BACKUP_VERSION: Final = 1
MANIFEST: Final = "manifest.json"
INDEX: Final = "files.jsonl"
ARCHIVE: Final = "archive"
_BLOCK_BYTES: Final = 1 << 20


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Stored):
    """One file of a backup: a line of the index.

    Attributes:
        name: Its path below the backup's directory.
        size_bytes: How long it is.
        sha256: Of its content, in hex.
        modified_ns: The time of the file that it is a copy of; 0 for one that is none.
    """

    name: str
    size_bytes: int
    sha256: str
    modified_ns: int = 0


class Manifest(_Stored):
    """A whole backup.

    Attributes:
        version: Of this form.
        product: The name and version of who took it.
        created_at: When it was complete.
        log_seq: The sequence of the log up to which it goes.
        streams: The streams, in the order in which they were taken.
        files: How many files the index names.
        size_bytes: How long they are together.
        index_sha256: Of the index.
    """

    version: int
    product: str
    created_at: AwareDatetime
    log_seq: int
    streams: tuple[TakenStream, ...]
    files: int
    size_bytes: int
    index_sha256: str


def read_manifest(root: Path) -> Manifest:
    """Read a backup's manifest, and see that its index belongs to it.

    Raises:
        DamagedBackupError: There is none, it cannot be read, or the index is another one.
        NewerBackupError: It is of a newer version.
    """
    path = root / MANIFEST
    try:
        content = orjson.loads(path.read_bytes())
        version = content["version"]
        if version != BACKUP_VERSION:
            raise NewerBackupError(root, version, BACKUP_VERSION)
        manifest = Manifest.model_validate(content)
    except OSError as exc:
        raise DamagedBackupError(root, f"no backup: {MANIFEST}: {exc.strerror}") from exc
    except (orjson.JSONDecodeError, KeyError, TypeError, ValidationError) as exc:
        raise DamagedBackupError(path, "not a manifest") from exc
    if _digest(root / INDEX)[1] != manifest.index_sha256:
        raise DamagedBackupError(root / INDEX, "changed since the backup was made")
    return manifest


def entries(root: Path) -> Iterator[FileEntry]:
    """Yield the files of a backup whose manifest was read.

    Raises:
        DamagedBackupError: A line is not of this form, or names a place outside of the backup.
    """
    with (root / INDEX).open("rb") as file:
        for line in file:
            try:
                entry = FileEntry.model_validate_json(line)
            except ValidationError as exc:
                raise DamagedBackupError(root / INDEX, "not an index") from exc
            name = PurePosixPath(entry.name)
            if name.is_absolute() or ".." in name.parts:
                raise DamagedBackupError(root / INDEX, f"names a place outside: {name}")
            yield entry


def check_files(root: Path, manifest: Manifest) -> None:
    """Read every file of a backup and compare it with the index.

    Raises:
        DamagedBackupError: One is absent, shorter, longer, or changed.
    """
    count = 0
    for entry in entries(root):
        count += 1
        if _digest(root / entry.name) != (entry.size_bytes, entry.sha256):
            raise DamagedBackupError(root / entry.name, "changed since the backup was made")
    if count != manifest.files:
        raise DamagedBackupError(root / INDEX, f"names {count} files of {manifest.files}")


def _digest(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                size += len(block)
    except OSError as exc:
        raise DamagedBackupError(path, f"cannot be read ({exc.strerror})") from exc
    return size, digest.hexdigest()
