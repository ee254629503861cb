"""Check a value against the part of JSON Schema that our documents use."""

import re


def problems(value, schema, document, place="$"):
    """Return what is wrong with ``value``; nothing when it fits.

    Args:
        value: Parsed JSON.
        schema: What it must fit.
        document: What the schema's references point into.
        place: Where the value stands, for the messages.
    """
    if "$ref" in schema:
        return problems(value, resolve(schema["$ref"], document), document, place)
    found = []
    if "anyOf" in schema:
        outcomes = [problems(value, each, document, place) for each in schema["anyOf"]]
        found += min(outcomes, key=len)
    if "type" in schema and not _is_type(value, schema["type"]):
        return [f"{place}: {value!r} is no {schema['type']}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{place}: {value!r} is not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str):
        found += _string_problems(value, schema, place)
    if isinstance(value, dict):
        found += _object_problems(value, schema, document, place)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            found += problems(item, schema["items"], document, f"{place}[{index}]")
    return found


def resolve(reference, document):
    """Return what a reference within ``document`` points to; KeyError when it points nowhere."""
    found = document
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return found


def _is_type(value, name):
    types = {
        "string": str,
        "integer": int,
        "number": (int, float),
        "boolean": bool,
        "object": dict,
        "array": list,
        "null": type(None),
    }
    is_flag = isinstance(value, bool)
    return isinstance(value, types[name]) and (not is_flag or name == "boolean")


def _string_problems(value, schema, place):
    if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value)):
        return [f"{place}: length of {value!r}"]
    if "pattern" in schema and re.search(schema["pattern"], value) is None:
        return [f"{place}: {value!r} does not match {schema['pattern']}"]
    return []


def _object_problems(value, schema, document, place):
    known = schema.get("properties", {})
    found = [
        f"{place}: {name} is missing" for name in schema.get("required", []) if name not in value
    ]
    for name, item in value.items():
        if name in known:
            found += problems(item, known[name], document, f"{place}.{name}")
        elif schema.get("additionalProperties") is False:
            found.append(f"{place}: {name} is not documented")
        elif isinstance(schema.get("additionalProperties"), dict):
            found += problems(item, schema["additionalProperties"], document, f"{place}.{name}")
    return found
