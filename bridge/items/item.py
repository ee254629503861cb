"""One item, and its form as a message."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from bridge.items.namespaces import Labels
from bridge.json_bytes import decode_json, encode_json


@dataclass(frozen=True, slots=True)
class StoredItem:
    """One item.

    Attributes:
        namespace: Its labels.
        key: Its key within the namespace.
        value: A JSON object.
        created_at: When it was first put.
        updated_at: When it was last put.
        ttl_s: Seconds without use after which it leaves; ``None`` means that it stays.
    """

    namespace: Labels
    key: str
    value: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ttl_s: int | None = None


def encode_item(item: StoredItem) -> bytes:
    """Encode an item.

    Raises:
        InvalidContentError: Its value is not JSON.
    """
    facts = {
        "namespace": item.namespace,
        "key": item.key,
        "value": item.value,
        "created_at": item.created_at.isoformat(),
        "updated_at": item.updated_at.isoformat(),
        "ttl_s": item.ttl_s,
    }
    return encode_json(facts)


def decode_item(payload: bytes) -> StoredItem:
    """Decode what :func:`encode_item` made."""
    facts = decode_json(payload)
    return StoredItem(
        namespace=tuple(facts["namespace"]),
        key=facts["key"],
        value=facts["value"],
        created_at=datetime.fromisoformat(facts["created_at"]),
        updated_at=datetime.fromisoformat(facts["updated_at"]),
        ttl_s=facts["ttl_s"],
    )
