"""How deep JSON is nested, told without recursion."""

from collections.abc import Iterable


def is_deeper(content: object, limit: int) -> bool:
    """Return whether more than ``limit`` objects and arrays stand inside each other.

    Args:
        content: Parsed JSON.
        limit: How many may.
    """
    level = [content] if isinstance(content, dict | list) else []
    depth = 0
    while level and depth <= limit:
        depth += 1
        level = [
            inner for outer in level for inner in _parts(outer) if isinstance(inner, dict | list)
        ]
    return depth > limit


def _parts(container: object) -> Iterable[object]:
    if isinstance(container, dict):
        return container.values()
    return container if isinstance(container, list) else ()
