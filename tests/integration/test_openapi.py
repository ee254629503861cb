"""The OpenAPI document says what the running gateway serves: every route, and nothing else."""

import json
from pathlib import Path

import pytest
from every_route import served

from api.auth.permissions import OPEN_ROUTES, scope_of
from api.openapi.page import CONTENT_SECURITY_POLICY

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
async def document(http):
    async with http.get("/openapi.json") as answer:
        assert answer.status == 200
        return await answer.json()


def operations(document):
    """The operations of a document by their routes."""
    return {
        f"{method.upper()} {path}": shape
        for path, methods in document["paths"].items()
        for method, shape in methods.items()
    }


def test_the_file_is_what_a_gateway_serves(document):
    assert json.loads((DOCS / "openapi.json").read_text()) == document, (
        "write it anew: python -m api.openapi docs/openapi.json"
    )


def test_every_route_is_in_the_document_and_nothing_else(gateway, document):
    assert operations(document).keys() == served(gateway.app)


def test_every_operation_says_what_it_does_and_has_a_name_of_its_own(document):
    shapes = operations(document).values()
    assert len({shape["operationId"] for shape in shapes}) == len(shapes)
    assert [shape for shape in shapes if not shape["summary"].endswith(".")] == []


def test_every_operation_names_the_scope_that_it_needs(document):
    for route, shape in operations(document).items():
        named = {
            scope for each in shape["security"] for scopes in each.values() for scope in scopes
        }
        assert named == (set() if route in OPEN_ROUTES else {scope_of(route).value}), route


async def test_below_a_prefix_the_document_names_the_same_paths_and_the_prefix(
    start_gateway, new_session, document
):
    gateway = await start_gateway(mount_prefix="/api")
    http = await new_session(gateway.url)
    async with http.get("/api/openapi.json") as answer:
        below = await answer.json()
    assert below["paths"] == document["paths"]
    assert below["servers"] == [{"url": "/api"}]


async def test_what_is_not_served_is_not_in_the_document(start_gateway, new_session):
    gateway = await start_gateway(disabled=("store",))
    http = await new_session(gateway.url)
    async with http.get("/openapi.json") as answer:
        shown = operations(await answer.json())
    assert shown.keys() == served(gateway.app)
    assert "PUT /store/items" not in shown


async def test_the_page_shows_every_operation_and_loads_nothing(http, document):
    async with http.get("/docs") as answer:
        page = await answer.text()
        assert answer.content_type == "text/html"
        assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    for shape in operations(document).values():
        assert f'id="{shape["operationId"]}"' in page
    for name in document["components"]["schemas"]:
        assert f'<details id="{name}">' in page
    for loading in ("<script", "<link", "<img", "src=", "url(", "//"):
        assert loading not in page
