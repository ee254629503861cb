"""Read settings from ``jetrun.toml`` or ``langgraph.json``.

``jetrun.toml`` has one table for each section of the settings. ``langgraph.json`` is for graphs.
"""

import json
import tomllib
from pathlib import Path
from typing import Any, Final

from api.langgraph_file import anchored, read_langgraph_file, warnings_of
from api.startup_errors import ConfigFileError

MAX_FILE_BYTES: Final = 1 << 20

_ASSISTANTS: Final = "assistants"


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
            return _anchored(path, read_langgraph_file(path, _parse_json(path, _read(path))))
        case _:
            raise ConfigFileError(path, "must be a jetrun.toml or a langgraph.json")


def config_warnings(path: Path) -> list[str]:
    """Return what people should know of a file that :func:`read_config_file` reads.

    Raises:
        ConfigFileError: The file is absent, too large, or malformed.
    """
    return warnings_of(_parse_json(path, _read(path))) if path.suffix == ".json" else []


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
    return {**assistant, "function": anchored(path, assistant["function"])}
