"""Who follows the quick start line by line gets what it shows."""

import json
import os

from page_commands import follow_page

PAGE = "docs/quickstart.md"


async def test_the_quick_start_works_line_by_line(tmp_path):
    environment = {name: text for name, text in os.environ.items() if "JETRUN_" not in name}
    answers = await follow_page(PAGE, tmp_path, environment)
    for step, answer in answers.items():
        if step.answer is not None:
            assert json.loads(answer) == json.loads(step.answer), step.commands
    seen, rest = ((tmp_path / name).read_text() for name in ("seen.txt", "rest.txt"))
    numbers = [int(line.split("-")[1]) for line in ids(seen + rest)]
    assert numbers == sorted(set(numbers))
    assert ids(seen)
    assert rest.endswith("event: end\nretry: 86400000\ndata: null\n\n")


def ids(stream):
    """The ids of a stream's events, but for the one that only ends it."""
    return [line for line in stream.splitlines() if line.startswith("id: ")]
