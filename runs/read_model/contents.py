"""Metadata as a set of facts that an index can hold, and what it means to contain some.

A fact is a scalar and the path to it. Whatever contains ``part`` has all facts of ``part``; the
reverse holds as well, unless ``part`` has lists or empty objects.
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final, NamedTuple

from bridge import encode_json

#: Metadata with more facts is not indexed; it is looked at by every search for metadata.
MAX_FACTS: Final = 64
_MAX_VALUE: Final = 64
#: Stands in a path for any element of a list; names are strings.
_ELEMENT: Final = 0


class Fact(NamedTuple):
    """A scalar in a document.

    Attributes:
        path: The names that lead to it, as JSON.
        value: The scalar as JSON, or a digest of a long one.
    """

    path: str
    value: str


def facts_of(content: Mapping[str, Any]) -> set[Fact]:
    """Return the facts of a document, each once."""
    facts: set[Fact] = set()
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), content)]
    while pending:
        path, value = pending.pop()
        if isinstance(value, Mapping):
            pending.extend(((*path, name), inner) for name, inner in value.items())
        elif isinstance(value, list | tuple):
            pending.extend(((*path, _ELEMENT), inner) for inner in value)
        else:
            facts.add(Fact(_short(encode_json(path).decode()), _short(_scalar(value))))
    return facts


def is_told_by_facts(part: Any) -> bool:
    """Whether having all facts of ``part`` is the same as containing it."""
    if isinstance(part, Mapping):
        return bool(part) and all(is_told_by_facts(inner) for inner in part.values())
    return not isinstance(part, list | tuple)


def contains(whole: Any, part: Any) -> bool:
    """Whether a document contains another one.

    An object contains one whose names it has, with contents that contain the other's; a list
    contains one whose elements are each contained in one of its own; a scalar contains its equal.
    """
    if isinstance(part, Mapping):
        return isinstance(whole, Mapping) and all(
            name in whole and contains(whole[name], inner) for name, inner in part.items()
        )
    if isinstance(part, list | tuple):
        return isinstance(whole, list | tuple) and all(
            any(contains(element, inner) for element in whole) for inner in part
        )
    if isinstance(whole, bool) or isinstance(part, bool):
        return whole is part
    return bool(whole == part)


def contains_json(whole: str, part: str) -> bool:
    """Whether a document contains another one, both as JSON."""
    return contains(json.loads(whole), _parsed(part))


@lru_cache(maxsize=64)
def _parsed(part: str) -> Any:
    return json.loads(part)


def _scalar(value: object) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # numbers that are equal are one fact
    return encode_json(value).decode()


def _short(text: str) -> str:
    if len(text) <= _MAX_VALUE:
        return text
    return "#" + sha256(text.encode()).hexdigest()
