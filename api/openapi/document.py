"""Put the served routes and what their handlers declare together as one OpenAPI 3.1 document."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from importlib.metadata import version
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from api.answer_schemas import Problem
from api.auth.authentication import API_KEY_HEADER
from api.auth.permissions import OPEN_ROUTES, scope_of
from api.auth.stream_tokens import TOKEN_ROUTES
from api.openapi.problem_responses import problem_responses
from api.openapi.schemas import Schema, Schemas
from api.operations import JSON, Answer, Operation

_DESCRIPTION: Final = (
    "Durable, resumable runs. Errors are problem documents of RFC 9457: match on their code. "
    "Credentials are needed where the gateway authenticates its callers; the scope that an "
    "operation needs stands in its security requirement. Unknown fields of bodies are ignored "
    "unless an operation says otherwise."
)
_TAGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "assistants": "What can be run.",
        "threads": "Conversations, cases: what runs belong to.",
        "runs": "Executions: create, follow, wait, cancel, read back.",
        "store": "Items that users and their graphs keep.",
        "meta": "The gateway itself.",
        "ui": "The console: a page for people, and its files.",
    }
)
_ID: Final[Schema] = MappingProxyType({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"})
_TEXT: Final[Schema] = MappingProxyType({"type": "string", "minLength": 1})
_FILE: Final[Schema] = MappingProxyType(
    {"type": "string", "pattern": r"^([a-z_]+/)?[a-z_]+\.[a-z]+$"}
)
#: What stands in paths that is no id.
_IN_PATHS: Final[Mapping[str, Schema]] = MappingProxyType(
    {"assistant_id": _TEXT, "checkpoint_id": _TEXT, "namespace": _TEXT, "path": _FILE}
)
_SECURITY: Final = MappingProxyType(
    {
        "apiKey": {"type": "apiKey", "in": "header", "name": API_KEY_HEADER},
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "API key or JWT"},
        "streamToken": {"type": "apiKey", "in": "query", "name": "token"},
    }
)


@dataclass(frozen=True, slots=True)
class ServedRoute:
    """A route, and what its handler declares.

    Attributes:
        group: The group of routes that it belongs to.
        method: The HTTP method.
        path: The path below the mount prefix.
        operation: What is declared.
    """

    group: str
    method: str
    path: str
    operation: Operation

    def __str__(self) -> str:
        """Return it as the tables of scopes name it."""
        return f"{self.method} {self.path}"

    @property
    def names(self) -> list[str]:
        """What the path names."""
        return re.findall(r"{(\w+)}", self.path)


def openapi_document(routes: Iterable[ServedRoute], prefix: str = "") -> dict[str, Any]:
    """Return the document of some routes.

    Args:
        routes: The routes.
        prefix: The path below which they are served.
    """
    routes = list(routes)
    schemas = Schemas((each.operation for each in routes), others=[Problem])
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _Described(route, schemas).shape()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "jetrun",
            "version": version("jetrun"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": prefix or "/"}],
        "tags": [{"name": name, "description": text} for name, text in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": schemas.needed_by(paths),
            "securitySchemes": dict(_SECURITY),
        },
    }


class _Described:
    """Describes one operation."""

    def __init__(self, route: ServedRoute, schemas: Schemas) -> None:
        self._route = route
        self._operation = route.operation
        self._schemas = schemas

    def shape(self) -> dict[str, Any]:
        """Return the operation as the document has it."""
        route, models = self._route, self._operation.models
        shape: dict[str, Any] = {
            "tags": [route.group],
            "operationId": _name_of(route.method, route.path),
            "summary": self._operation.summary,
            "parameters": list(self._parameters()),
            "responses": {
                **{str(int(each.status)): self._answer(each) for each in self._operation.answers},
                **problem_responses(str(route), route.names, self._operation),
            },
            "security": list(self._security()),
        }
        if "body" in models:
            shape["requestBody"] = self._body(models["body"])
        return shape

    def _body(self, model: type[BaseModel]) -> dict[str, Any]:
        """Return the body; one that is left out counts as an empty object."""
        schema = self._schemas.of_read(model)
        form = self._schemas.resolve(schema)
        is_needed = "required" in form or form["type"] != "object"
        return {"required": is_needed, "content": {JSON: {"schema": schema}}}

    def _security(self) -> Iterator[dict[str, list[str]]]:
        route = str(self._route)
        if route in OPEN_ROUTES:
            return
        scope = scope_of(route).value
        yield {"apiKey": [scope]}
        yield {"bearer": [scope]}
        if route in TOKEN_ROUTES:
            yield {"streamToken": []}

    def _parameters(self) -> Iterator[dict[str, Any]]:
        for name in self._route.names:
            schema = dict(_IN_PATHS.get(name, _ID))
            yield {"name": name, "in": "path", "required": True, "schema": schema}
        for source, place in (("query", "query"), ("headers", "header")):
            if source in self._operation.models:
                yield from self._fields(self._operation.models[source], place)
        for each in self._operation.parameters:
            yield {
                "name": each.name,
                "in": each.place,
                "required": False,
                "description": each.description,
                "schema": dict(each.schema),
            }

    def _fields(self, model: type[BaseModel], place: str) -> Iterator[dict[str, Any]]:
        fields, needed = self._schemas.fields_of(model)
        for name, schema in fields.items():
            yield {
                "name": name,
                "in": place,
                "required": name in needed,
                "schema": _without_null(schema),
            }

    def _answer(self, answer: Answer) -> dict[str, Any]:
        shape: dict[str, Any] = {"description": HTTPStatus(answer.status).phrase}
        if answer.headers:
            shape["headers"] = {
                name: {"description": text, "schema": {"type": "string"}}
                for name, text in answer.headers.items()
            }
        if answer.media_type is not None:
            shape["content"] = {answer.media_type: {"schema": self._content(answer)}}
        return shape

    def _content(self, answer: Answer) -> Schema:
        if answer.media_type != JSON and answer.content is None:
            return {"type": "string"}
        models, parameters = self._operation.models, self._operation.parameters
        selects = any("select" in model.model_fields for model in models.values())
        if selects or any(each.name == "select" for each in parameters):
            return self._schemas.of_selection(answer.content)
        return self._schemas.of_answer(answer.content)


def _name_of(method: str, path: str) -> str:
    """Name an operation; a last slash counts, because there may be a route without it."""
    return re.sub(r"\W+", "_", method.lower() + re.sub("[{}]", "", path))


def _without_null(schema: Schema) -> Schema:
    """Return the schema of a parameter, which is left out where a body would say null."""
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if not kinds:
        return schema
    rest = {name: each for name, each in schema.items() if name != "anyOf"}
    return {**rest, **kinds[0]} if len(kinds) == 1 else {**rest, "anyOf": kinds}
