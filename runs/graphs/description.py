"""What a graph tells about itself: its schemas, its subgraphs, its drawing."""

from collections.abc import Callable
from typing import Any

from langgraph.pregel import Pregel
from pydantic import TypeAdapter
from pydantic.errors import PydanticSchemaGenerationError, PydanticUserError

from runs.graphs.source import Graph

#: A type of user code that has no JSON schema.
_NO_SCHEMA = (
    PydanticUserError,
    PydanticSchemaGenerationError,
    NameError,
    TypeError,
    AttributeError,
)


def schemas_of(graph: Graph) -> dict[str, Any]:
    """Return the JSON schemas of a graph; null where a type has none."""
    return {
        "input_schema": _schema(graph.get_input_jsonschema),
        "output_schema": _schema(graph.get_output_jsonschema),
        "state_schema": _schema(lambda: _state_schema(graph)),
        # What was configurable is context today; the schema under the old name is the same.
        "config_schema": _schema(graph.get_context_jsonschema),
        "context_schema": _schema(graph.get_context_jsonschema),
    }


def _schema(make: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
    try:
        return make()
    except _NO_SCHEMA:
        return None


def _state_schema(graph: Graph) -> dict[str, Any]:
    builder = getattr(graph, "builder", None)
    if builder is not None:
        return dict(TypeAdapter(builder.state_schema).json_schema())
    return graph.get_output_jsonschema()


def subgraph_schemas_of(
    graph: Graph, *, namespace: str | None, recurse: bool
) -> dict[str, dict[str, Any]]:
    """Return the schemas of a graph's subgraphs by their namespace."""
    found = graph.get_subgraphs(namespace=namespace, recurse=recurse)
    return {name: schemas_of(inner) for name, inner in found if isinstance(inner, Pregel)}


def drawing_of(graph: Graph, *, xray: bool | int) -> dict[str, Any]:
    """Return the nodes and edges of a graph."""
    drawn = graph.get_graph(xray=xray).to_json()
    return {
        "nodes": [{**node, "id": str(node["id"])} for node in drawn.get("nodes", ())],
        "edges": [
            {**edge, "source": str(edge["source"]), "target": str(edge["target"])}
            for edge in drawn.get("edges", ())
        ],
    }
