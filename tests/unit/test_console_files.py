"""The console's files: whole, without a build, and without a way for text to become markup."""

import re
from posixpath import dirname, join, normpath

import pytest

from api.console.static_files import read_static_files
from runs import RunStatus

FILES = {path: each.body.decode() for path, each in read_static_files().items()}
SCRIPTS = {path: text for path, text in FILES.items() if path.endswith(".js")}
#: Whatever makes elements, code or styles of a text.
MARKUP = re.compile(
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|createContextualFragment"
    r"|srcdoc|setHTML|\beval\b|new Function|javascript:|setAttribute\(\s*[\"']style"
)


@pytest.mark.parametrize("path", FILES)
def test_no_file_makes_markup_of_text(path):
    assert MARKUP.search(FILES[path]) is None
    assert re.search(r"<[^>]+ (on\w+|style)=", FILES[path]) is None


@pytest.mark.parametrize("path", SCRIPTS)
def test_every_import_leads_to_a_file_of_ours(path):
    for wanted in re.findall(r'(?:from|import) "([^"]+)"', SCRIPTS[path]):
        assert normpath(join(dirname(path), wanted)) in SCRIPTS, wanted


@pytest.mark.parametrize("path", SCRIPTS)
def test_every_script_says_what_it_is_for_and_stays_short(path):
    assert SCRIPTS[path].startswith("/**")
    assert len(SCRIPTS[path].splitlines()) <= 320


def test_every_script_is_reached_and_fetched_at_once():
    page = FILES["index.html"]
    preloaded = set(re.findall(r'rel="modulepreload" href="([^"]+)"', page))
    imported = {
        normpath(join(dirname(path), wanted))
        for path, text in SCRIPTS.items()
        for wanted in re.findall(r'^import (?:.* from )?"([^"]+)"', text, re.MULTILINE)
    }
    assert imported | {"main.js"} == SCRIPTS.keys()
    assert preloaded == imported


def test_every_file_that_the_page_names_is_there():
    named = re.findall(r'(?:href|src)="([^"]+)"', FILES["index.html"])
    assert set(named) <= FILES.keys()
    assert {path for path in FILES if path.endswith(".css")} <= set(named)


def test_every_status_has_a_sign_of_its_own_and_a_colour():
    signs = dict(re.findall(r'^  (\w+): "(.)",$', SCRIPTS["runs/statuses.js"], re.MULTILINE))
    assert signs.keys() == {status.value for status in RunStatus}
    assert len(set(signs.values())) == len(signs)
    for status in signs:
        assert f'[data-status="{status}"]' in FILES["styles/base.css"]
