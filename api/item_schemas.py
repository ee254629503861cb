"""What clients send about items of the store, in the form of the LangGraph platform."""

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from api.schemas import Body, JsonObject, Name
from bridge import NamespacePattern

MAX_LABELS: Final = 16

#: Without a dot, because a path of labels in a query is joined by dots.
Label = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^.]+$")]
Prefix = Annotated[tuple[Label, ...], Field(max_length=MAX_LABELS)]
Namespace = Annotated[tuple[Label, ...], Field(min_length=1, max_length=MAX_LABELS)]


def _labels(value: object) -> object:
    return value.split(".") if isinstance(value, str) else value


class ItemPlace(Body):
    """The body of ``DELETE /store/items``."""

    namespace: Annotated[
        Namespace, BeforeValidator(_labels, json_schema_input_type=str | Namespace)
    ]
    key: Name


class ItemQuery(ItemPlace):
    """The query of ``GET /store/items``; labels are joined by dots."""

    namespace: Annotated[
        Namespace,
        BeforeValidator(_labels, json_schema_input_type=Annotated[str, Field(min_length=1)]),
    ]
    refresh_ttl: bool | None = None


class ItemPut(ItemPlace):
    """The body of ``PUT /store/items``."""

    value: JsonObject
    ttl: float | None = Field(None, gt=0, le=100 * 366 * 24 * 60, description="minutes")
    index: Literal[False] | tuple[str, ...] | None = None


class ItemSearch(Body):
    """The body of ``POST /store/items/search``."""

    namespace_prefix: Prefix = ()
    filter: JsonObject | None = None
    query: Any = None
    limit: int = Field(10, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10_000_000)
    refresh_ttl: bool | None = None


class NamespaceList(Body):
    """The body of ``POST /store/namespaces``."""

    prefix: Prefix | None = None
    suffix: Prefix | None = None
    max_depth: int | None = Field(None, ge=1)
    limit: int = Field(100, ge=1, le=1000)
    offset: int = Field(0, ge=0, le=10_000_000)

    def patterns(self) -> list[NamespacePattern]:
        """Return what a namespace must look like; ``*`` stands for any label."""
        found = []
        if self.prefix:
            found.append(NamespacePattern(self.prefix, "prefix"))
        if self.suffix:
            found.append(NamespacePattern(self.suffix, "suffix"))
        return found
