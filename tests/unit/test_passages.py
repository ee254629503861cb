"""The built-in agent answers from the text alone, the same way each time."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge import encode_json
from runs.assistants.index import PassageIndex, sentences, split_passages
from runs.assistants.passages import DEFAULT_QUESTION, MAX_SEARCHES, passages

LICENSE = (Path(__file__).parents[2] / "LICENSE").read_text()
GARDEN = """# Garden

Tomatoes want six hours of sun a day. They are planted in May.

## Water

Lettuce needs water every morning, tomatoes every second day.
- Never water the leaves of a tomato.
- Carrots forgive a dry week.

## Storage

Carrots keep until spring in a box of damp sand.
"""


class Context:
    values = None

    def result(self, values):
        self.values = values


async def ask(text, **options):
    context = Context()
    events = [event async for event in passages(context, {"text": text, "pace_s": 0, **options})]
    return events, context.values


async def test_the_answer_quotes_the_passage_that_knows():
    _, values = await ask(GARDEN, question="How do carrots keep until spring?")
    assert "Carrots keep until spring in a box of damp sand. (line 13)" in values["answer"]
    assert values["passages"][0]["heading"] == "Storage"


async def test_the_tokens_of_the_answer_are_the_answer():
    events, values = await ask(GARDEN)
    tokens = [data[0]["content"] for name, data in events if name == "messages"]
    assert "".join(tokens) == values["answer"]
    assert all(data[0]["type"] == "AIMessageChunk" for name, data in events if name == "messages")
    assert values["question"] == DEFAULT_QUESTION


async def test_every_sentence_of_the_answer_stands_in_the_text():
    _, values = await ask(LICENSE)
    text = " ".join(LICENSE.split())
    for line in values["answer"].splitlines():
        assert line.rpartition(" (line ")[0] in text


async def test_the_same_input_gives_the_same_events():
    assert await ask(LICENSE, question="trademarks") == await ask(LICENSE, question="trademarks")


async def test_a_file_of_some_pages_gives_hundreds_of_events_like_an_agents():
    events, _ = await ask(LICENSE)
    counts = Counter(name for name, _ in events)
    assert 300 <= len(events) <= 2000
    assert counts["tool_call"] == counts["tool_result"] == MAX_SEARCHES
    assert {"updates", "custom", "messages"} <= set(counts)
    assert next(name for name, _ in events) == "updates"


async def test_each_result_answers_its_call():
    events, _ = await ask(LICENSE)
    calls = [data["id"] for name, data in events if name == "tool_call"]
    results = [data["id"] for name, data in events if name == "tool_result"]
    assert calls == results
    assert len(set(calls)) == len(calls)


async def test_a_question_that_the_text_does_not_answer_is_not_answered_from_thin_air():
    _, values = await ask("Alpha beta.", question="Who built the submarine?")
    assert values["answer"] == "The text says nothing about that."


@pytest.mark.parametrize("given", [None, {}, {"text": ""}, {"text": "a", "pace_s": -1}, "text"])
async def test_an_input_without_a_text_is_refused(given):
    with pytest.raises(ValidationError):
        _ = [event async for event in passages(Context(), given)]


def test_passages_know_their_heading_and_line():
    found = [(each.heading, each.line) for each in split_passages(GARDEN)]
    assert found == [("Garden", 3), ("Water", 7), ("Storage", 13)]


def test_list_items_are_never_joined_into_one_sentence():
    assert sentences("One item:\n- first\n- second.\n1. third") == [
        "One item:",
        "- first",
        "- second.",
        "1. third",
    ]


def test_the_passage_with_the_rarer_word_ranks_first():
    parts = split_passages("the red house\n\nthe red door\n\nthe red key")
    best = PassageIndex(parts).search("red key", 1)[0]
    assert best.passage.text == "the red key"


@given(st.text(max_size=500).filter(str.strip), st.text(min_size=1, max_size=60))
async def test_any_text_and_any_question_give_events_that_can_be_stored(text, question):
    events, values = await ask(text, question=question)
    for _, data in events:
        encode_json(data)
    encode_json(values)


@given(st.text(max_size=2000))
def test_no_line_with_words_is_lost_in_the_split(text):
    parts = split_passages(text)
    kept = "\n".join(f"{each.heading}\n{each.text}" for each in parts)
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith(("#", "=", "-")):
            assert line in kept or not parts


def test_fenced_code_is_no_passage_and_lines_keep_their_numbers():
    text = "First words.\n\n```\ncode = 1\n\nmore()\n```\n\nLast words."
    found = [(each.text, each.line) for each in split_passages(text)]
    assert found == [("First words.", 1), ("Last words.", 9)]
