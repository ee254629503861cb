"""How far the archive has come in the log, so that a wiped or foreign log is noticed.

The mark is a hint that only ever lags: the files decide what is archived.
"""

from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from store.errors import ArchiveMarkError
from store.jsonl import replace_file

_VERSION: Final = 1


class _Mark(BaseModel):
    model_config = ConfigDict(frozen=True)

    version: int = Field(_VERSION, ge=1, le=_VERSION)
    last_seq: int = Field(ge=0)


class ArchiveMark:
    """The highest log sequence that is safely in the archive, in a small file of its own.

    Args:
        path: The file; its directory must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> int:
        """Return the sequence noted last; 0 when there is none.

        Raises:
            ArchiveMarkError: The file is there and holds something else.
        """
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        try:
            return _Mark.model_validate_json(text).last_seq
        except ValidationError as error:
            reason = error.errors(include_url=False, include_input=False)[0]["msg"]
            raise ArchiveMarkError(self._path, reason) from error

    def write(self, last_seq: int) -> None:
        """Note ``last_seq`` durably; a crash leaves the old mark or the new one."""
        replace_file(self._path, encode_mark(last_seq))


def encode_mark(last_seq: int) -> bytes:
    """Return what the file of a mark holds."""
    return _Mark(last_seq=last_seq).model_dump_json().encode() + b"\n"
