"""Turn whatever a graph emits into JSON that the log takes, instead of failing the run for it.

The log is strict; graphs written for the platform are used to a server that is not. So unknown
objects, NaN and Infinity become null, keys become strings, lone surrogates ``?``, NUL U+FFFD, and
sets lists. Nothing here raises for a value, whatever it is.
"""

import base64
import dataclasses
import math
import re
from collections import deque
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address, IPv6Address
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

import orjson
from langgraph.types import Interrupt

from bridge import encode_json

#: Deeper content becomes null; the standard decoders of clients stop at about a thousand.
MAX_DEPTH: Final = 200

_FAST: Final = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATACLASS
_NUL: Final = b"\\u0000"
_UNKNOWN: Final = object()


def encode_plain(value: Any) -> bytes:
    """Serialise ``value`` to one line of strict JSON; what has no JSON form is changed."""
    try:
        encoded = orjson.dumps(value, default=_plain_object, option=_FAST)
    except orjson.JSONEncodeError:
        return encode_json(to_plain(value))
    return encode_json(to_plain(value)) if _NUL in encoded else encoded


def to_plain(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Return ``value`` as JSON content: objects, lists, strings, numbers, true, false and null.

    Args:
        value: Anything.
        above: The ids of the objects that hold it; one that holds itself is null inside.
    """
    if value is None or isinstance(value, bool | str | int | float):
        return _plain_leaf(value)
    if len(above) >= MAX_DEPTH or id(value) in above:
        return None
    above = (*above, id(value))
    if isinstance(value, dict):
        return {_plain_key(key): to_plain(inner, above) for key, inner in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_asdict"):
        return [to_plain(inner, above) for inner in value]
    return to_plain(_plain_object(value), above)


def _plain_leaf(value: Any) -> str | float | None:
    if isinstance(value, Enum):
        return _plain_leaf(value.value)
    if isinstance(value, str):
        return _plain_text(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    return int(value) if type(value) not in (bool, int) and value is not None else value


def _plain_text(text: str) -> str:
    known = str(text).encode("utf-8", "replace").decode()
    return known.replace("\0", "\ufffd")


def _plain_key(key: object) -> str:
    if isinstance(key, str):
        return _plain_text(key)
    if isinstance(key, Enum):
        return _plain_key(key.value)
    if key is None or isinstance(key, bool):
        return orjson.dumps(key).decode()
    return _plain_text(str(key))


def _plain_object(value: object) -> Any:
    """Return something that is nearer to JSON than ``value``; null when nothing is."""
    for known in (_as_declared, _as_collection, _as_scalar):
        plain = known(value)
        if plain is not _UNKNOWN:
            return plain
    return None


def _as_declared(value: object) -> Any:
    if isinstance(value, type):
        return None
    for method in ("model_dump", "_asdict", "dict", "to_dict"):
        dump = getattr(value, method, None)
        if callable(dump):
            try:
                return dump()
            except Exception:  # noqa: BLE001 - a method of user code; its object has no JSON form
                return None
    if isinstance(value, Interrupt):
        schema = value.response_schema
        asked = {"value": value.value, "id": value.id}
        return {**asked, "response_schema": schema} if isinstance(schema, dict) else asked
    if dataclasses.is_dataclass(value):
        return {each.name: getattr(value, each.name, None) for each in dataclasses.fields(value)}
    return _UNKNOWN


def _as_collection(value: object) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, set | frozenset | deque | tuple | list):
        return list(value)
    return _UNKNOWN


def _as_scalar(value: object) -> Any:
    plain: Any = _UNKNOWN
    match value:
        case BaseException():
            plain = {"error": type(value).__name__, "message": str(value)}
        case Enum():
            plain = value.value
        case bytes() | bytearray() | memoryview():
            plain = base64.b64encode(bytes(value)).decode()
        case datetime() | date() | time():
            plain = value.isoformat()
        case timedelta():
            plain = value.total_seconds()
        case re.Pattern():
            plain = value.pattern
        case str() | int() | float():
            plain = _as_builtin(value)
        case Decimal() | UUID() | PurePath() | IPv4Address() | IPv6Address():
            plain = str(value)
    return plain


def _as_builtin(value: str | float) -> str | float:
    if isinstance(value, str):
        return str.__str__(value)
    return int(value) if isinstance(value, int) else float(value)
