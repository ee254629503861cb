"""Passages of a text, ranked by how well they match a query (BM25), without a model.

Deterministic: equal texts and queries give equal rankings, ties in the order of the text.
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

MAX_PASSAGE_WORDS: Final = 90
_SATURATION: Final = 1.2
_LENGTH_WEIGHT: Final = 0.75

_WORD: Final = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[]?[A-Z0-9])")
_HEADING: Final = re.compile(
    r"^#{1,6}\s+(.*?)\s*#*$|^(?P<underlined>\S.*)\n(?:=+|-+)$", re.MULTILINE
)
_NEW_ITEM: Final = re.compile(r"\n(?=[ \t]*(?:[-*+|]|[0-9]+[.)])(?:[ \t]|$))")
_COMMON: Final = """
a about after all also an and any are as at be because been but by can did do does each for
from had has have how if in into is it its more most no not of on one only or other our out
over per so some such than that the their them then there these they this those to under up
use used was we were what when where which while who will with without would you your
"""
_STOP_WORDS: Final = frozenset(_COMMON.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """A few paragraphs' worth of text under one heading.

    Attributes:
        number: 1, 2, 3... in the order of the text.
        heading: The nearest heading above it; empty when there is none.
        line: Where it starts, counted from 1.
    """

    number: int
    heading: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A passage and how well it matched."""

    passage: Passage
    score: float


def terms(text: str) -> list[str]:
    """Return the words that carry meaning, folded so that plain plurals match singulars."""
    words = (word.casefold() for word in _WORD.findall(text))
    return [_fold(word) for word in words if len(word) > 1 and word not in _STOP_WORDS]


def _fold(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):  # noqa: PLR2004 - too short to be a plural
        return word[:-3] + "y" if word.endswith("ies") else word[:-1]
    return word


def sentences(text: str) -> list[str]:
    """Split prose into sentences, each on one line; a list item or table row is never joined."""
    items = (" ".join(item.split()) for item in _NEW_ITEM.split(text))
    return [sentence for item in items for sentence in _SENTENCE_END.split(item) if sentence]


def split_passages(text: str) -> list[Passage]:
    """Split a text at blank lines into passages of at most some 90 words, long ones in pieces."""
    passages: list[Passage] = []
    heading = ""
    for line, block in _blocks(text):
        found = _HEADING.fullmatch(block)
        if found:
            heading = found[1] or found["underlined"]
            continue
        for offset, piece in _pieces(block):
            passages.append(Passage(len(passages) + 1, heading, line + offset, piece))
    return passages


def _blocks(text: str) -> Iterable[tuple[int, str]]:
    kept: list[str] = []
    for number, line in enumerate([*_without_code(text), ""], start=1):
        is_heading = line.startswith("#") and _HEADING.fullmatch(line) is not None
        if kept and (not line.strip() or is_heading):
            yield number - len(kept), "\n".join(kept)
            kept = []
        if is_heading:
            yield number, line
        elif line.strip():
            kept.append(line)


def _without_code(text: str) -> Iterator[str]:
    """Yield the lines with those of fenced code left empty: code is no prose to quote."""
    is_code = False
    for line in text.splitlines():
        is_fence = line.lstrip().startswith("```")
        is_code ^= is_fence
        yield "" if is_code or is_fence else line


def _pieces(block: str) -> Iterable[tuple[int, str]]:
    piece: list[str] = []
    words = 0
    for offset, line in enumerate(block.splitlines()):
        count = len(line.split())
        if piece and words + count > MAX_PASSAGE_WORDS:
            yield offset - len(piece), "\n".join(piece)
            piece, words = [], 0
        piece.append(line)
        words += count
    if piece:
        yield len(block.splitlines()) - len(piece), "\n".join(piece)


class PassageIndex:
    """The words of all passages, for ranking.

    Args:
        passages: What to search.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages
        self._counts = [Counter(terms(f"{each.heading} {each.text}")) for each in passages]
        self._lengths = [sum(counts.values()) for counts in self._counts]
        self._mean_length = sum(self._lengths) / len(passages) if passages else 1.0
        self._passages_with = Counter(term for counts in self._counts for term in counts)

    @property
    def vocabulary(self) -> int:
        """How many different words there are."""
        return len(self._passages_with)

    def weight(self, term: str) -> float:
        """How much a word tells: more, the fewer passages hold it."""
        holding = self._passages_with[term]
        return math.log(1 + (len(self._passages) - holding + 0.5) / (holding + 0.5))

    def keywords(self, count: int) -> list[str]:
        """Return the words that mark this text: frequent, yet not everywhere."""
        total = Counter[str]()
        for counts in self._counts:
            total.update(counts)
        candidates = (term for term in total if len(term) > 2 and not term.isdigit())  # noqa: PLR2004 - abbreviations tell little
        ranked = sorted(candidates, key=lambda term: (-total[term] * self.weight(term), term))
        return ranked[:count]

    def search(self, query: str, limit: int) -> list[Hit]:
        """Return the best matching passages, best first; none when no word matches."""
        wanted = sorted(set(terms(query)))
        hits = [Hit(each, self._score(i, wanted)) for i, each in enumerate(self._passages)]
        found = [hit for hit in hits if hit.score > 0]
        found.sort(key=lambda hit: (-hit.score, hit.passage.number))
        return found[:limit]

    def _score(self, index: int, wanted: Sequence[str]) -> float:
        counts = self._counts[index]
        relative = self._lengths[index] / (self._mean_length or 1.0)
        damping = _SATURATION * (1 - _LENGTH_WEIGHT + _LENGTH_WEIGHT * relative)
        return sum(
            self.weight(term) * counts[term] * (_SATURATION + 1) / (counts[term] + damping)
            for term in wanted
            if counts[term]
        )
