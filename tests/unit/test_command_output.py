"""What commands print is what was there: brackets and colons of others are no markup."""

import pytest

from api.cli.console import ERR, OUT, print_error
from api.cli.output import print_facts, print_rows
from api.cli.tail import as_text
from api.client import SseMessage

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


HOSTILE = "a\x1b]0;owned\x07\x9b31m\u202eb"


@pytest.mark.parametrize(
    "show",
    [
        lambda: print_error(HOSTILE, None),
        lambda: print_rows(("a",), [{"a": HOSTILE}]),
        lambda: print_facts({"a": {"b": HOSTILE}}),
        lambda: OUT.print(as_text(SseMessage("1-1", "custom", HOSTILE))),
    ],
    ids=["an error", "rows", "facts", "an event"],
)
def test_what_a_terminal_would_obey_is_shown_by_its_number(show, capsys):
    show()
    shown = "".join(capsys.readouterr())
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "\\u001b]0;owned\\u0007" in shown
    assert "\\u202eb" in shown
