"""docs/cli.md shows the commands that there are."""

from pathlib import Path

from api.cli.reference import renewed

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"


def test_the_page_of_the_command_line_is_up_to_date():
    page = PAGE.read_text()
    assert renewed(page) == page, "run: python -m api.cli.reference docs/cli.md"


def test_the_table_of_kinds_names_every_command():
    page = PAGE.read_text()
    above, _, below = page.partition("## Commands")
    named = {line.split()[2] for line in below.splitlines() if line.startswith("### jetrun ")}
    assert all(f"`{name}" in above for name in named), named
