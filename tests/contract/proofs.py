"""Lists of wounds and their proofs, in the docstrings of the pages that keep them."""

import re
from pathlib import Path

FOLDER = Path(__file__).parent


def assert_proofs_exist(document, page, *, at_least):
    """Check that each line ``test_...`` below a page's name is a test on that page.

    Args:
        document: Wounds, below each one the pages, below each page its tests, indented.
        page: What ``here`` stands for.
        at_least: How many tests there are.
    """
    proofs = re.findall(r"^ {4}(\S+):\n((?: {8}test_\w+\n)+)", document, re.MULTILINE)
    named = [(where, name) for where, names in proofs for name in names.split()]
    assert len(named) == document.count("\n        test_") >= at_least
    for where, name in named:
        source = Path(page) if where == "here" else FOLDER / where
        assert f"def {name}(" in source.read_text(), name
