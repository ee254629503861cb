"""The documents name what exists, and their links lead somewhere."""

import os
import re
import subprocess
import sys
import tomllib
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from pydantic import BaseModel

from api import problems
from api.app import create_app
from api.settings import Settings
from bridge import GapReason, MemorySettings, ResumeStatus, wire
from bridge.events import RESERVED_EVENTS, Terminal
from runs import AssistantSettings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
MAX_README_LINES = 150


def read(name):
    return (ROOT / name).read_text()


def table_rows(name):
    """Return the rows of all tables of a page as lists of cells without their backticks."""
    lines = [line for line in read(name).splitlines() if line.startswith("|")]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in lines]


def shown(value):
    match value:
        case None | {}:
            return "none"
        case bool():
            return str(value).lower()
        case Enum():
            return str(value.value)
        case float():
            return f"{value:g}"
        case tuple():
            return ",".join(shown(each) for each in value) or "none"
        case _:
            return str(value)


def variables(model=Settings, path=()):
    """Yield the environment variables of all settings with their defaults as a page shows them."""
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            yield from variables(annotation, [*path, name])
        else:
            default = field.get_default(call_default_factory=True)
            yield f"JETRUN_{'__'.join([*path, name])}".upper(), shown(default)


def test_every_setting_is_documented_with_its_default_and_no_other_is():
    documented = {row[0]: row[1] for row in table_rows("docs/settings.md")}
    wanted = dict(variables())
    assert {name: documented.get(name) for name in wanted} == wanted
    assert {name for name in documented if name.startswith("JETRUN_")} == wanted.keys()


def test_every_field_that_only_python_can_set_is_documented():
    rows = {(row[0], row[1]) for row in table_rows("docs/settings.md")}
    for name, field in MemorySettings.model_fields.items():
        assert (name, shown(field.default)) in rows


def test_every_variable_that_a_page_mentions_exists():
    known = dict(variables()).keys()
    for page in PAGES:
        mentioned = set(re.findall(r"JETRUN_[A-Z]+__[A-Z_]+[A-Z]", page.read_text()))
        assert mentioned <= known, page


def test_every_problem_code_is_documented_once_with_its_status_and_no_other_is():
    rows = [tuple(row[:2]) for row in table_rows("docs/http.md")]
    documented = [row for row in rows if re.fullmatch(r"\d{3}", row[-1])]
    raised = {(each.code, str(status.value)) for each, status in problems.STATUS_OF_ERROR.items()}
    routed = {(code, str(status)) for status, code in problems.CODE_OF_STATUS.items()}
    assert set(documented) == raised | routed | {(problems.INTERNAL, "500")}
    assert len(documented) == len(set(documented))


def test_every_route_is_documented_and_no_other_is():
    app = create_app(Settings(), SimpleNamespace(), SimpleNamespace())
    served = {
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.method != "HEAD"
    }
    cells = {row[0] for row in table_rows("docs/http.md")}
    assert {cell for cell in cells if re.match(r"(GET|POST|PUT|PATCH|DELETE) /", cell)} == served


def test_every_test_that_a_page_names_exists():
    sources = [page.read_text() for page in ROOT.glob("tests/**/test_*.py")]
    defined = {name for source in sources for name in re.findall(r"def (test_\w+)\(", source)}
    for page in PAGES:
        assert set(re.findall(r"`(test_[a-z0-9_]+)`", page.read_text())) <= defined, page


def test_every_header_and_reserved_event_is_documented():
    page = read("docs/subjects-and-headers.md")
    headers = [value for value in vars(wire).values() if re.match(r"(Run|Nats|Dead)-", str(value))]
    headers.remove(wire.EXPECTED_MESSAGE_ID)  # of a question, never of a stored event
    for name in [*headers, *RESERVED_EVENTS]:
        assert f"`{name}`" in page


def test_every_outcome_of_a_cursor_and_every_terminal_is_documented():
    outcomes = {row[0] for row in table_rows("docs/event-ids.md")}
    assert {status.value for status in ResumeStatus} <= outcomes
    assert all(reason.value in read("docs/event-ids.md") for reason in GapReason)
    assert {kind.value for kind in Terminal} <= {row[0] for row in table_rows("docs/sse.md")}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_its_heading(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.is_file(), target
        assert not anchor or anchor in anchors(linked), target


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", text).lower().replace(" ", "-") for text in headings}


def test_the_index_of_decisions_lists_every_record_which_begins_with_its_number():
    index = read("docs/adr/README.md")
    records = {path.name: path.read_text() for path in ROOT.glob("docs/adr/[0-9]*.md")}
    assert records.keys() == set(re.findall(r"\]\((\d{4}-[^)]+)\)", index))
    assert [name for name, text in records.items() if not text.startswith(f"# {name[:4]}. ")] == []


def test_the_readme_is_short_and_shows_code_of_the_examples():
    text = read("README.md")
    assert len(text.splitlines()) < MAX_README_LINES
    shown_code = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    examples = [path.read_text() for path in ROOT.glob("examples/*.py")]
    assert len(shown_code) == 3
    for block in shown_code:
        assert any(block in example for example in examples), block


def test_the_assistant_of_the_examples_is_declared_with_known_fields():
    declared = tomllib.loads(read("examples/jetrun.toml"))["assistants"]
    assert {name: AssistantSettings(**each).function for name, each in declared.items()} == {
        "count": "agent.py:count"
    }


def test_the_changelog_names_the_version_that_is_built():
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert f"[{version}]" in read("CHANGELOG.md")


def pages_in(navigation):
    """Yield the pages that a navigation of MkDocs lists."""
    match navigation:
        case str():
            yield navigation
        case dict():
            for inner in navigation.values():
                yield from pages_in(inner)
        case list():
            for inner in navigation:
                yield from pages_in(inner)


def test_every_page_is_in_the_navigation_of_the_site():
    site = yaml.safe_load(read("mkdocs.yml"))
    listed = sorted(pages_in(site["nav"]))
    pages = {str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")}
    # Records of decisions are listed in their index.
    assert listed == sorted(page for page in pages if not re.match(r"adr/\d{4}-", page))


def test_the_site_has_no_link_that_leads_nowhere(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", tmp_path]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(
        command, check=False, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "quickstart.html").is_file()
    for outside in ("bench/RESULTS.html", "examples/sdk_client.py.html"):
        assert (tmp_path / outside).is_file()


def test_the_readme_shows_no_figure_that_the_results_do_not():
    results = read("bench/RESULTS.md") + read("bench/peers/RESULTS.md")
    shown = [row for row in table_rows("README.md") if len(row) == 4]
    figures = [figure for _, *rest in shown for figure in rest if figure[:1].isdigit()]
    assert len(figures) >= 20
    assert [figure for figure in figures if f"| {figure} |" not in results] == []
