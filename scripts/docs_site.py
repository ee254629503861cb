"""A hook of MkDocs: what pages link to outside of ``docs/`` becomes a part of the site.

In the repository a page links to ``../examples/agent.py``; on the site there is nothing above its
root. Such files are added below it, programs as pages that show them, and all links follow.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

#: A link to a file beside this one: no address, no mere heading.
_LINK = re.compile(r"(\]\()([\w./-]+\.\w+)((?:#[\w-]*)?\))")
_DOCS = "docs"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file of the repository that a page links to, and what those link to."""
    root = Path(config.docs_dir).parent
    waiting = list(files.documentation_pages())
    while waiting:
        page = waiting.pop()
        for linked in _linked(page.content_string, _origin(page.src_uri, root)):
            is_known = files.get_file_from_path(_place(linked)) is not None
            if is_known or linked.parts[0] == _DOCS or not (root / linked).is_file():
                continue  # it is there, or MkDocs says that it is not
            added = File.generated(config, _place(linked), content=_shown(root / linked))
            added.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(added)
            waiting.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Let links lead to where files of the repository are on the site."""
    place = page.file.src_uri
    origin = _origin(place, Path(config.docs_dir).parent)

    def moved(link: re.Match[str]) -> str:
        opening, target, rest = link.groups()
        there = posixpath.relpath(_place(_joined(origin, target)), posixpath.dirname(place) or ".")
        return f"{opening}{there}{rest}"

    return _LINK.sub(moved, markdown)


def _linked(markdown: str, origin: PurePosixPath) -> Iterator[PurePosixPath]:
    for _, target, _ in _LINK.findall(markdown):
        yield _joined(origin, target)


def _joined(origin: PurePosixPath, target: str) -> PurePosixPath:
    return PurePosixPath(posixpath.normpath(origin.parent / target))


def _origin(place: str, root: Path) -> PurePosixPath:
    """Return where in the repository a page of the site comes from."""
    own = PurePosixPath(_DOCS) / place
    return own if (root / own).is_file() else PurePosixPath(place)


def _place(path: PurePosixPath) -> str:
    """Return where on the site a file of the repository is."""
    if path.parts[0] == _DOCS:
        return str(path.relative_to(_DOCS))
    return str(path) if path.suffix == ".md" else f"{path}.md"


def _shown(path: Path) -> str:
    """Return a file as the source of a page."""
    text = path.read_text()
    return text if path.suffix == ".md" else f"# {path.name}\n\n```{path.suffix[1:]}\n{text}```\n"
