"""Modules of the tests are imported by their bare names, whichever folder they are in."""

from collections import Counter
from pathlib import Path

TESTS = Path(__file__).parents[1]


def test_every_module_of_the_tests_has_a_name_of_its_own():
    modules = [path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts]
    names = Counter(path.name for path in modules if path.name != "conftest.py")
    assert [name for name, count in names.items() if count > 1] == []
