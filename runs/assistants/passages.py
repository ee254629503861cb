"""Answers a question about a text from its own passages, step by step, the way an agent does.

It splits the text, indexes the passages, plans searches, reads what they find, and tells the
answer word by word. It invents nothing: each sentence of the answer is quoted from the text, with
its place. The same input gives the same events.

The input: ``text``, and optionally ``question`` and ``pace_s``, the seconds between two events
(default 0.005, so that one can watch; 0 for full speed).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from runs.assistants.index import Hit, Passage, PassageIndex, sentences, split_passages, terms
from runs.context import RunContext

DEFAULT_QUESTION: Final = "What is this about?"
MAX_SEARCHES: Final = 8
HITS_PER_SEARCH: Final = 3
QUOTES_PER_SEARCH: Final = 2
MAX_PROGRESS_EVENTS: Final = 200
_QUOTE_WORDS: Final = range(4, 80)
_NOTHING_FOUND: Final = "The text says nothing about that."

_MARKUP: Final = re.compile(r"^[\s>*+|-]+|[`|*]|\*\*|\[(?P<label>[^\]]*)\]\([^)]*\)", re.MULTILINE)
_TOKEN: Final = re.compile(r"\S+\s*")

Event = tuple[str, Any]


class Question(BaseModel):
    """What the assistant is asked."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    text: str = Field(min_length=1)
    question: str = Field(default=DEFAULT_QUESTION, min_length=1, max_length=2000)
    pace_s: float = Field(default=0.005, ge=0, le=10)


@dataclass(frozen=True, slots=True)
class Quote:
    """A sentence of the text and where it stands."""

    passage: Passage
    sentence: str


async def passages(context: RunContext, given: Any) -> AsyncIterator[Event]:
    """Answer the question in ``given`` and set ``answer``, ``question`` and ``passages``.

    Raises:
        ValidationError: The input has no text, or an option is out of range.
    """
    asked = Question.model_validate(given)
    async for event in _work(context, asked):
        yield event
        if asked.pace_s:
            await asyncio.sleep(asked.pace_s)


async def _work(context: RunContext, asked: Question) -> AsyncIterator[Event]:
    # Aside, because a long text would keep the other runs of this process waiting.
    parts, index = await asyncio.to_thread(_prepare, asked.text)
    for event in _study(asked, parts, index):
        yield event
    hits: dict[int, Hit] = {}
    quotes: list[Quote] = []
    queries = _plan(asked.question, index)
    yield "updates", {"plan": {"question": asked.question, "searches": queries}}
    for number, query in enumerate(queries, start=1):
        found = index.search(query, HITS_PER_SEARCH)
        for event in _tell_search(number, query, found):
            yield event
        hits.update({hit.passage.number: hit for hit in found if hit.passage.number not in hits})
        quotes.extend(_choose(query, found, quotes))
    answer = _compose(quotes)
    for event in _tell_answer(answer):
        yield event
    yield "updates", {"answer": {"quotes": len(quotes), "words": len(answer.split())}}
    context.result(
        {
            "question": asked.question,
            "answer": answer,
            "passages": [_shown(hit) for hit in hits.values()],
        }
    )


def _prepare(text: str) -> tuple[list[Passage], PassageIndex]:
    parts = split_passages(text)
    return parts, PassageIndex(parts)


def _study(asked: Question, parts: list[Passage], index: PassageIndex) -> Iterator[Event]:
    words = len(asked.text.split())
    yield "updates", {"split": {"passages": len(parts), "words": words}}
    stride = 1 + len(parts) // MAX_PROGRESS_EVENTS
    for part in parts[::stride]:
        done = {"done": part.number, "total": len(parts), "heading": part.heading}
        yield "custom", {"progress": {"step": "index", **done}}
    facts = {"vocabulary": index.vocabulary, "keywords": index.keywords(MAX_SEARCHES)}
    yield "updates", {"index": facts}


def _plan(question: str, index: PassageIndex) -> list[str]:
    """Search for what was asked, then for what the text itself talks about most."""
    asked = " ".join(terms(question))
    known = [term for term in terms(question) if index.weight(term) and index.search(term, 1)]
    queries = [asked] if known else []
    keywords = index.keywords(2 * MAX_SEARCHES)
    pairs = [f"{asked} {word}" if known else word for word in keywords if word not in known]
    return (queries + pairs)[:MAX_SEARCHES]


def _tell_search(number: int, query: str, found: list[Hit]) -> Iterator[Event]:
    call_id = f"search-{number}"
    yield "tool_call", {"id": call_id, "name": "search", "args": {"query": query}}
    shown = [_shown(hit) for hit in found]
    yield "tool_result", {"id": call_id, "name": "search", "hits": shown}


def _shown(hit: Hit) -> dict[str, Any]:
    part = hit.passage
    return {
        "number": part.number,
        "heading": part.heading,
        "line": part.line,
        "score": round(hit.score, 4),
        "text": part.text,
    }


def _choose(query: str, found: list[Hit], chosen: list[Quote]) -> list[Quote]:
    wanted = set(terms(query))
    taken = {quote.sentence for quote in chosen}
    candidates = [
        (len(wanted & set(terms(sentence))), hit.score, Quote(hit.passage, sentence))
        for hit in found
        for sentence in map(_plain, sentences(hit.passage.text))
        if sentence not in taken and len(sentence.split()) in _QUOTE_WORDS
    ]
    candidates.sort(key=lambda each: (-each[0], -each[1], each[2].passage.number))
    quotes: list[Quote] = []
    for matches, _, quote in candidates:
        if matches and quote.sentence not in {each.sentence for each in quotes}:
            quotes.append(quote)
    return quotes[:QUOTES_PER_SEARCH]


def _plain(text: str) -> str:
    return " ".join(_MARKUP.sub(lambda found: found["label"] or "", text).split())


def _compose(quotes: list[Quote]) -> str:
    if not quotes:
        return _NOTHING_FOUND
    ordered = sorted(quotes, key=lambda quote: quote.passage.number)
    lines = [f"{quote.sentence} (line {quote.passage.line})" for quote in ordered]
    return "\n".join(lines)


def _tell_answer(answer: str) -> Iterator[Event]:
    about = {"langgraph_node": "answer", "tags": []}
    for token in _TOKEN.findall(answer):
        chunk = {"type": "AIMessageChunk", "id": "answer", "content": token}
        yield "messages", [chunk, about]
