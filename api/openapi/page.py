"""The OpenAPI document as one page of HTML: no script, nothing from elsewhere.

So its content security policy allows nothing but its own style sheet, known by its hash.
"""

from base64 import b64encode
from collections.abc import Iterable, Mapping
from hashlib import sha256
from html import escape
from typing import Any, Final

from api.problems import PROBLEM

_STYLE: Final = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
summary { cursor: pointer; padding: .3rem 0; }
summary code { font-weight: 600; }
details { border-bottom: 1px solid #8884; }
details > div { padding: 0 0 1rem 1rem; }
details > div p { margin: .4rem 0; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .15rem .8rem .15rem 0; }
code { font-family: ui-monospace, monospace; }
.method { display: inline-block; width: 4rem; }
.quiet { opacity: .7; }
"""
_HASH: Final = b64encode(sha256(_STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


def reference_page(document: Mapping[str, Any]) -> str:
    """Return the page of a document that :func:`openapi_document` made."""
    info = document["info"]
    groups = [
        _group(tag, document) for tag in document["tags"] if any(_operations(tag["name"], document))
    ]
    schemas = document["components"]["schemas"]
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(info['title'])} API</title><style>{_STYLE}</style>"
        f"<h1>{escape(info['title'])} <small>{escape(info['version'])}</small></h1>"
        f"<p>{escape(info['description'])}</p>"
        '<p><a href="openapi.json">openapi.json</a>. A 4xx or 5xx has a '
        '<a href="#Problem">Problem</a> as its body, with one of the codes named there.</p>'
        f"{''.join(groups)}<h2>Types</h2>"
        f"{''.join(_type(name, schema) for name, schema in schemas.items())}</html>"
    )


def _operations(
    tag: str, document: Mapping[str, Any]
) -> Iterable[tuple[str, str, Mapping[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, shape in methods.items():
            if tag in shape["tags"]:
                yield method.upper(), path, shape


def _group(tag: Mapping[str, str], document: Mapping[str, Any]) -> str:
    shown = (_operation(*each) for each in _operations(tag["name"], document))
    description = f'<span class="quiet">{escape(tag["description"])}</span>'
    return f"<h2>{escape(tag['name'])}</h2><p>{description}</p>{''.join(shown)}"


def _operation(method: str, path: str, shape: Mapping[str, Any]) -> str:
    scopes = {scope for each in shape["security"] for scopes in each.values() for scope in scopes}
    needs = f"Needs the scope {', '.join(sorted(scopes))}." if scopes else "Needs no credential."
    body = shape.get("requestBody")
    sent = f"<p>Body: {_body(body['content'])}</p>" if body else ""
    return (
        f'<details id="{escape(shape["operationId"])}"><summary>'
        f'<code class="method">{method}</code> <code>{escape(path)}</code> '
        f'<span class="quiet">{escape(shape["summary"])}</span></summary><div><p>{needs}</p>'
        f"{_parameters(shape['parameters'])}{sent}{_responses(shape['responses'])}</div></details>"
    )


def _parameters(parameters: Iterable[Mapping[str, Any]]) -> str:
    return _table(
        (
            f"<code>{escape(each['name'])}</code>",
            each["in"] + (", required" if each["required"] else ""),
            _kind(each["schema"]),
            escape(each.get("description", "")),
        )
        for each in parameters
    )


def _responses(responses: Mapping[str, Mapping[str, Any]]) -> str:
    return _table(
        (status, escape(each["description"]), _body(each.get("content", {})))
        for status, each in responses.items()
    )


def _body(content: Mapping[str, Mapping[str, Any]]) -> str:
    """Say what is sent; problems have all one form, which is said once."""
    return ", ".join(
        f"{escape(media_type)} {_kind(each['schema'])}"
        for media_type, each in content.items()
        if media_type != PROBLEM
    )


def _type(name: str, schema: Mapping[str, Any]) -> str:
    needed = schema.get("required", ())
    fields = _table(
        (
            f"<code>{escape(field)}</code>",
            "required" if field in needed else "",
            _kind(each),
        )
        for field, each in schema.get("properties", {}).items()
    )
    text = f"<p>{escape(schema.get('description', ''))}</p>{fields or _kind(schema)}"
    return (
        f'<details id="{escape(name)}"><summary><code>{escape(name)}</code></summary>'
        f"<div>{text}</div></details>"
    )


def _table(rows: Iterable[Iterable[str]]) -> str:
    shown = "".join(f"<tr>{''.join(f'<td>{cell}' for cell in row)}" for row in rows)
    return f"<table>{shown}</table>" if shown else ""


def _kind(schema: Mapping[str, Any]) -> str:
    """Say a schema in a few words; named ones by a link."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in values)
    kind = escape(schema.get("type", "any"))
    if kind == "array" and schema.get("items"):
        return f"array of {_kind(schema['items'])}"
    limits = [
        f"{said} {schema[name]}"
        for name, said in (("minimum", "from"), ("maximum", "to"), ("maxLength", "up to"))
        if name in schema
    ]
    return " ".join([kind, *limits])
