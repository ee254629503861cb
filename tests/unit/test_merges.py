"""A merge that was not finished is not committed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What is made, or installed, is nobody's merge.
NOT_WRITTEN = {"__pycache__", "build", "dist", "htmlcov", "node_modules", "site"}
#: At the beginning of a line; a line of equals signs alone underlines a heading, too.
MARKER = re.compile(rb"^(?:<{7}|>{7}|\|{7})(?: |$)", re.MULTILINE)


def written(directory):
    """Yield all files below a directory, but for what tools leave there."""
    for path in directory.iterdir():
        if path.name in NOT_WRITTEN or path.is_symlink():
            continue
        if path.is_file():
            yield path
        elif not path.name.startswith(".") or path.name == ".ci":
            yield from written(path)


def test_no_file_holds_the_markers_of_a_conflict():
    files = list(written(ROOT))
    assert Path(__file__) in files
    assert [path for path in files if MARKER.search(path.read_bytes())] == []


@pytest.mark.parametrize("line", ["<<<<<<< HEAD", "||||||| 1a2b3c4", ">>>>>>> a branch", ">" * 7])
def test_a_marker_is_found_in_the_middle_of_a_file(line):
    assert MARKER.search(f"above\n{line}\nbelow".encode())
    assert not MARKER.search(f"above\n {line}\nbelow".encode())
