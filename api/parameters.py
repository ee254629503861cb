"""What handlers read from requests without a model: parameters that take several forms."""

from types import MappingProxyType
from typing import Any, Final

from api.operations import Parameter

_TEXT: Final[MappingProxyType[str, Any]] = MappingProxyType({"type": "string"})
_TEXTS: Final[MappingProxyType[str, Any]] = MappingProxyType(
    {"type": "array", "items": {"type": "string"}}
)
_ID: Final[MappingProxyType[str, Any]] = MappingProxyType(
    {"type": "string", "pattern": "^[A-Za-z0-9_-]{1,48}$"}
)

STREAM_MODE: Final = Parameter(
    "stream_mode", "Which events: repeated, a comma list, or a JSON array; none means all.", _TEXTS
)
LAST_EVENT_ID: Final = Parameter(
    "Last-Event-ID", "The last event that was handled.", _TEXT, place="header"
)
LAST_EVENT_ID_QUERY: Final = Parameter(
    "last_event_id", "The same, where a header cannot be set.", _TEXT
)
SUBSCRIPTION: Final = Parameter(
    "subscription", "A name under which the server keeps the position.", _ID
)
EVENT_TYPE: Final = Parameter(
    "event_type", "Only events of these names: repeated, or a comma list.", _TEXTS
)
SELECT: Final = Parameter(
    "select", "Only these fields: repeated, a comma list, or a JSON array.", _TEXTS
)
INCLUDE: Final = Parameter("include", "What is shown in addition: `ttl`.", _TEXTS)
PREFERENCE: Final = Parameter(
    "Prefer", "`return=minimal`: 204 without the document.", _TEXT, place="header"
)
RANGE: Final = Parameter("Range", "One range of bytes.", _TEXT, place="header")
