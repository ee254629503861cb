"""JSON as the log takes it: one line of UTF-8, strict, the same bytes for all who read it.

What has no JSON form is refused instead of being changed: NaN, Infinity, keys that are no strings,
lone surrogates.
"""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from enum import Enum
from typing import Any, Final
from uuid import UUID

import orjson

from bridge.errors import InvalidContentError


def encode_json(data: Any) -> bytes:
    """Serialise ``data`` to one line of UTF-8 JSON.

    Raises:
        InvalidContentError: A value has no JSON form, or is NaN or Infinity.
    """
    try:
        encoded = orjson.dumps(data, option=_STRICT)
    except orjson.JSONEncodeError:
        # The standard library takes integers beyond 64 bits and says precisely what is wrong.
        return _dump(data, check_keys=True)
    if b"null" in encoded:
        # orjson writes NaN and Infinity as null; only then is the slow check needed.
        _dump(data, check_keys=False)
    return encoded


_STRICT: Final = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS


def _dump(data: Any, *, check_keys: bool) -> bytes:
    try:
        if check_keys:
            _check_keys(data)
        text = json.dumps(
            data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidContentError(str(error)) from error


def _check_keys(value: Any) -> None:
    # The standard library would turn other keys into strings, and so could make two alike.
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                msg = f"key {key!r} is not a string"
                raise TypeError(msg)
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for item in value:
        _check_keys(item)


def _plain(value: object) -> Any:
    # What orjson writes by itself, so that both ways accept the same data.
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, UUID):
        return str(value)
    msg = f"{type(value).__name__} has no JSON form"
    raise TypeError(msg)


def decode_json(payload: bytes) -> Any:
    """Parse what :func:`encode_json` made; integers keep their value at any size."""
    if _LONG_NUMBER.search(payload) is None:
        # Very deep nesting is refused here and read below.
        with suppress(orjson.JSONDecodeError):
            return orjson.loads(payload)
    return json.loads(payload)


# orjson reads integers beyond 64 bits as floats.
_LONG_NUMBER: Final = re.compile(rb"[0-9]{19}")


def encode_metadata(metadata: Mapping[str, Any] | None) -> bytes | None:
    """Serialise ``metadata`` to ASCII JSON, which any header reader takes."""
    if metadata is None:
        return None
    try:
        plain = dict(metadata)
    except (TypeError, ValueError) as error:
        raise InvalidContentError(f"metadata: {error}") from error
    return json.dumps(decode_json(encode_json(plain)), separators=(",", ":")).encode("ascii")
