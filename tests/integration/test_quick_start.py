"""Who follows the quick start line by line gets what it shows."""

import json
import re

from commands import NO_SETTINGS
from page_commands import follow_page

PAGE = "docs/quickstart.md"
#: The number of an event in its run; what only ends a stream is none.
EVENT = r"id: \d+-(\d+)\nevent: (?!end)"


async def test_the_quick_start_works_line_by_line(tmp_path):
    answers = await follow_page(PAGE, tmp_path, NO_SETTINGS)
    for step, answer in answers.items():
        if step.answer is not None:
            assert json.loads(answer) == json.loads(step.answer), step.commands
    seen, rest = ((tmp_path / name).read_text() for name in ("seen.txt", "rest.txt"))
    numbers = [int(number) for number in re.findall(EVENT, seen + rest)]
    assert numbers == list(range(1, len(numbers) + 1))
    assert re.findall(EVENT, seen)
    assert rest.endswith("event: end\nretry: 86400000\ndata: null\n\n")
