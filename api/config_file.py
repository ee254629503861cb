"""Read settings from ``jetrun.toml`` or ``langgraph.json``.

``jetrun.toml`` has one table for each section of the settings. ``langgraph.json`` is the file that
projects for the LangGraph platform have already: its graphs are taken, keys of its image builder
are passed over, and everything else is refused by name rather than ignored.
"""

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from api.startup_errors import ConfigFileError

MAX_FILE_BYTES: Final = 1 << 20

_GRAPHS: Final = "graphs"
_ASSISTANTS: Final = "assistants"

#: Keys by which the platform builds its images; here a virtual environment is built by its owner.
_BUILD_KEYS: Final = frozenset(
    {
        "$schema",
        "api_version",
        "base_image",
        "dependencies",
        "dockerfile_lines",
        "image_distro",
        "keep_pkg_tools",
        "node_version",
        "pip_config_file",
        "pip_installer",
        "python_version",
    }
)


def read_config_file(path: Path) -> dict[str, Any]:
    """Return the settings in a file, in the shape of the settings' sections.

    Args:
        path: A ``.toml`` file in jetrun's own form, or a ``.json`` file in the platform's.
            Files of assistants are named relative to its directory.

    Raises:
        ConfigFileError: The file is absent, too large, malformed, or of neither form.
    """
    match path.suffix:
        case ".toml":
            return _anchored(path, _parse_toml(path, _read(path)))
        case ".json":
            return _anchored(path, _from_langgraph(path, _parse_json(path, _read(path))))
        case _:
            raise ConfigFileError(path, "must be a jetrun.toml or a langgraph.json")


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
        if len(content) > MAX_FILE_BYTES:
            raise ConfigFileError(path, f"is larger than {MAX_FILE_BYTES} bytes")
        return content.decode("utf-8")
    except OSError as exc:
        raise ConfigFileError(path, f"cannot be read ({exc.strerror})") from exc
    except UnicodeDecodeError as exc:
        raise ConfigFileError(path, f"is not UTF-8 (byte {exc.start})") from exc


def _parse_toml(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigFileError(path, f"is not TOML: {exc}") from exc


def _parse_json(path: Path, text: str) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigFileError(path, f"is not JSON: {exc}") from exc
    if not isinstance(content, dict):
        raise ConfigFileError(path, "must hold one JSON object")
    return content


def _from_langgraph(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    unknown = sorted(content.keys() - _BUILD_KEYS - {_GRAPHS})
    if unknown:
        raise ConfigFileError(path, f"key {unknown[0]!r} is not supported; remove it")
    graphs = content.get(_GRAPHS, {})
    if not isinstance(graphs, dict):
        raise ConfigFileError(path, "graphs must be an object")
    return {_ASSISTANTS: {name: _from_graph(path, name, graph) for name, graph in graphs.items()}}


def _from_graph(path: Path, name: str, graph: object) -> dict[str, Any]:
    if isinstance(graph, str):
        return {"function": graph, "kind": "graph"}
    if not isinstance(graph, dict) or not {"path"} <= graph.keys() <= {"path", "description"}:
        problem = f"graphs.{name} must be 'file.py:attribute', or hold path and description"
        raise ConfigFileError(path, problem)
    return {
        "function": graph["path"],
        "kind": "graph",
        "description": graph.get("description", ""),
    }


def _anchored(path: Path, content: dict[str, Any]) -> dict[str, Any]:
    # Files are named relative to the file that names them; a worker may run somewhere else.
    assistants = content.get(_ASSISTANTS)
    if not isinstance(assistants, dict):
        return content
    return {
        **content,
        _ASSISTANTS: {name: _anchored_one(path, each) for name, each in assistants.items()},
    }


def _anchored_one(path: Path, assistant: object) -> object:
    # What is not of the right form is left to the settings' own check.
    if not isinstance(assistant, dict) or not isinstance(assistant.get("function"), str):
        return assistant
    file, colon, attribute = assistant["function"].rpartition(":")
    if not file.endswith(".py"):
        return assistant
    return {**assistant, "function": f"{path.absolute().parent / file}{colon}{attribute}"}
