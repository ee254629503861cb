"""A hook of MkDocs: what pages link to outside of ``docs/`` becomes a part of the site.

In the repository a page links to ``../examples/agent.py``; on the site there is nothing above its
root. Such files are added below it, programs as pages that show them, and the links follow.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

_LINK = re.compile(r"(\]\()((?:\.\./)+)([\w./-]+)((?:#[\w-]*)?\))")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add every file of the repository that a page links to."""
    docs = Path(config.docs_dir)
    root = docs.parent
    for page in files.documentation_pages():
        for _, climb, path, _ in _LINK.findall(page.content_string):
            linked = (docs / page.src_uri).parent / climb / path
            outside = linked.resolve().relative_to(root)
            if outside.is_relative_to(docs.name) or files.get_file_from_path(_place(outside)):
                continue
            shown = File.generated(config, _place(outside), content=_shown(linked))
            shown.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(shown)
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links that leave ``docs/`` lead to what :func:`on_files` has added."""
    depth = page.file.src_uri.count("/")

    def moved(link: re.Match[str]) -> str:
        opening, climb, path, rest = link.groups()
        if climb.count("../") <= depth:
            return link[0]
        return f"{opening}{'../' * depth}{_place(Path(path))}{rest}"

    return _LINK.sub(moved, markdown)


def _place(path: Path) -> str:
    """Return where on the site a file of the repository is shown."""
    return str(path if path.suffix == ".md" else path.with_suffix(f"{path.suffix}.md"))


def _shown(path: Path) -> str:
    """Return a file as the source of a page."""
    text = path.read_text()
    return text if path.suffix == ".md" else f"# {path.name}\n\n```{path.suffix[1:]}\n{text}```\n"
