"""What this task works on, in every line that it logs.

Tasks that are begun inside inherit it; threads do not.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

_NOTHING: Final[Mapping[str, str]] = MappingProxyType({})
_CONTEXT: Final = ContextVar[Mapping[str, str]]("log context", default=_NOTHING)


@contextmanager
def logging_about(**facts: str) -> Iterator[None]:
    """Add facts, ids mostly, to all lines that are logged inside."""
    token = _CONTEXT.set({**_CONTEXT.get(), **facts})
    try:
        yield
    finally:
        _CONTEXT.reset(token)


def log_context() -> Mapping[str, str]:
    """Return the facts that are added here."""
    return _CONTEXT.get()
