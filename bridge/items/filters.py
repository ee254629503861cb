"""Say whether an item's value is what a filter asks for.

A filter names fields of the value. What it says of one is a value that the field must equal, a
mapping of which each field must match in the same way, or a mapping of operators: ``$eq``, ``$ne``,
``$gt``, ``$gte``, ``$lt``, ``$lte``. Values that cannot be compared do not match.
"""

import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from bridge.errors import InvalidFilterError

_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        "$eq": operator.eq,
        "$ne": operator.ne,
        "$gt": operator.gt,
        "$gte": operator.ge,
        "$lt": operator.lt,
        "$lte": operator.le,
    }
)


def check_filter(wanted: Mapping[str, Any]) -> None:
    """Refuse a filter with operators that do not exist.

    Raises:
        InvalidFilterError: One does not.
    """
    for name, value in wanted.items():
        if isinstance(value, Mapping):
            check_filter(value)
        if name.startswith("$") and name not in _OPERATORS:
            raise InvalidFilterError(name)


def matches(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether each field of ``value`` that a filter names is as it says."""
    return all(_is(value.get(name), said) for name, said in wanted.items())


def _is(found: Any, said: Any) -> bool:
    if isinstance(said, Mapping):
        if any(name.startswith("$") for name in said):
            return all(_compares(found, name, against) for name, against in said.items())
        return isinstance(found, Mapping) and matches(found, said)
    return bool(found == said)


def _compares(found: Any, name: str, against: Any) -> bool:
    try:
        return bool(_OPERATORS[name](found, against))
    except TypeError:
        # JSON has values of several kinds, and a field need not have the same in all items.
        return False
