"""The files of the page, read once; nothing else of the disk can be asked for."""

import hashlib
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final, NamedTuple

_PAGE_TYPES: Final = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class StaticFile(NamedTuple):
    """One file as it is served.

    Attributes:
        body: Its bytes, UTF-8.
        content_type: What it is, by its ending.
        etag: Names this content, and no other, in every process.
    """

    body: bytes
    content_type: str
    etag: str


def read_static_files() -> Mapping[str, StaticFile]:
    """Read all files by their paths below ``static``, with slashes.

    Raises:
        KeyError: A file is of a type that the page has not: a mistake in the package.
    """
    return dict(_below(files("api.console") / "static", ""))


def _below(directory: Traversable, prefix: str) -> Iterator[tuple[str, StaticFile]]:
    for entry in directory.iterdir():
        path = f"{prefix}{entry.name}"
        if entry.is_dir():
            yield from _below(entry, f"{path}/")
        else:
            body = entry.read_bytes()
            content_type = _PAGE_TYPES[path[path.rindex(".") :]]
            yield path, StaticFile(body, content_type, hashlib.sha256(body).hexdigest()[:32])
