"""The JSON schemas of what operations read and answer, each named once."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, TypeAlias

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from api.operations import Operation

Schema: TypeAlias = Mapping[str, Any]

_REFERENCE: Final = "#/components/schemas/"
_Mode: TypeAlias = Literal["validation", "serialization"]


class _Plain(GenerateJsonSchema):
    """Leaves out what says nothing: titles that repeat a name, and null as a default."""

    def field_title_should_be_set(self, _: Any) -> bool:
        return False

    def default_schema(self, schema: Any) -> dict[str, Any]:
        made = super().default_schema(schema)
        return {name: each for name, each in made.items() if (name, each) != ("default", None)}


class Schemas:
    """Knows the schemas of all types that some operations read and answer.

    Args:
        operations: The operations.
        others: Further types that are answered.

    Attributes:
        components: The schemas with names, by these.
    """

    def __init__(self, operations: Iterable[Operation], others: Iterable[Any] = ()) -> None:
        read: set[Any] = set()
        answered = set(others)
        for each in operations:
            read |= set(each.models.values())
            answered |= {answer.content for answer in each.answers}
        kinds: Mapping[_Mode, set[Any]] = {"validation": read, "serialization": answered}
        self._found, document = TypeAdapter.json_schemas(
            [
                (each, mode, TypeAdapter(each))
                for mode, types in kinds.items()
                for each in sorted(types, key=repr)
            ],
            ref_template=_REFERENCE + "{model}",
            schema_generator=_Plain,
        )
        self.components: dict[str, Schema] = document.get("$defs", {})

    def of_read(self, model: Any) -> Schema:
        """Return the schema of a model that is read."""
        return self._found[(model, "validation")]

    def of_answer(self, content: Any) -> Schema:
        """Return the schema of what is answered."""
        return self._found[(content, "serialization")]

    def of_selection(self, content: Any) -> Schema:
        """Return the schema of what clients get that choose fields: any may be missing."""
        whole = self.of_answer(content)
        if whole.get("type") == "array":
            return {**whole, "items": self._any_of_its_fields(whole["items"])}
        return self._any_of_its_fields(whole)

    def fields_of(self, model: Any) -> tuple[Mapping[str, Schema], frozenset[str]]:
        """Return the fields of a flat model that is read, and the names of those it needs."""
        schema = self.resolve(self.of_read(model))
        return schema["properties"], frozenset(schema.get("required", ()))

    def resolve(self, schema: Schema) -> Schema:
        """Return what a reference stands for; any other schema as it is."""
        reference = schema.get("$ref")
        return schema if reference is None else self.components[_name_in(reference)]

    def needed_by(self, content: Any) -> dict[str, Schema]:
        """Return those of the named schemas that ``content`` refers to, and that these refer to."""
        needed: dict[str, Schema] = {}
        waiting = set(_references_in(content))
        while waiting:
            name = waiting.pop()
            needed[name] = self.components[name]
            waiting |= set(_references_in(needed[name])) - needed.keys()
        return dict(sorted(needed.items()))

    def _any_of_its_fields(self, reference: Schema) -> Schema:
        whole = _name_in(reference["$ref"])
        name = f"Selected{whole}"
        shape = self.components[whole]
        self.components[name] = {key: each for key, each in shape.items() if key != "required"}
        return {"$ref": _REFERENCE + name}


def reference_to(name: str) -> Schema:
    """Return a reference to a named schema."""
    return {"$ref": _REFERENCE + name}


def _references_in(content: Any) -> Iterator[str]:
    if isinstance(content, Mapping):
        if "$ref" in content:
            yield _name_in(content["$ref"])
        content = list(content.values())
    if isinstance(content, list):
        for each in content:
            yield from _references_in(each)


def _name_in(reference: str) -> str:
    return reference.removeprefix(_REFERENCE)
