"""Choose the fields of a document that somebody asks for."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

_VALUES: Final = "values"
_PART: Final = f"{_VALUES}."


def selected(document: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    """Return some fields of a document; what it does not have is left out.

    Args:
        document: A thread, a state, a run...
        names: The fields; ``values.NAME`` means one of its values. ``None`` means everything.
    """
    if names is None:
        return dict(document)
    chosen = {name: document[name] for name in names if name in document}
    parts = [name.removeprefix(_PART) for name in names if name.startswith(_PART)]
    values = document.get(_VALUES)
    if parts and _VALUES not in chosen and isinstance(values, Mapping):
        chosen[_VALUES] = {name: values[name] for name in parts if name in values}
    return chosen
