"""What commands print is what was there: brackets and colons of others are no markup."""

import pytest

from api.cli.console import ERR, OUT
from api.cli.output import print_facts, print_rows

TEXT = "a[/b] [red]c :warning: [type=missing]"


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")


@pytest.mark.parametrize(
    "show",
    [
        lambda: OUT.print(TEXT),
        lambda: ERR.print(TEXT, style="red"),
        lambda: print_rows(("a",), [{"a": TEXT}]),
        lambda: print_facts({"a": TEXT}),
    ],
    ids=["a line", "an error", "rows", "facts"],
)
def test_text_is_printed_as_it_is(show, capsys):
    show()
    assert TEXT in "".join(capsys.readouterr())
