"""Say what is wrong with a setting in the terms of whoever wrote it: option, variable or file."""

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel
from pydantic_core import ErrorDetails


class SettingsOrigins:
    """Where each setting of this process was written.

    Args:
        model: The settings' model, for the names that would have been right.
        flags: What the command line gave, in the shape of the settings.
    """

    def __init__(self, model: type[BaseModel], flags: Mapping[str, Any]) -> None:
        self._model = model
        self._flags = flags
        self._prefix = str(model.model_config.get("env_prefix", ""))
        self._delimiter = str(model.model_config.get("env_nested_delimiter", ""))
        self._variables = {name.upper(): name for name in os.environ}
        named = flags.get("config") or os.environ.get(f"{self._prefix}CONFIG")
        self._file = None if named is None else str(named)

    def explain(self, error: ErrorDetails) -> str:
        """Return one line that names the place and the problem, and never the value."""
        path = [str(part) for part in error["loc"]]
        return f"{self._origin(path)}: {self._problem(error, path)}"

    def _origin(self, path: Sequence[str]) -> str:
        key = ".".join(path)
        if _holds(self._flags, path):
            return f"option for {key}"
        for length in range(len(path), 0, -1):
            name = f"{self._prefix}{self._delimiter.join(path[:length])}".upper()
            if name in self._variables:
                return self._variables[name]
        return key if self._file is None else f"{self._file}: {key}"

    def _problem(self, error: ErrorDetails, path: Sequence[str]) -> str:
        if error["type"] != "extra_forbidden":
            return error["msg"]
        near = get_close_matches(path[-1].lower(), self._names_beside(path), n=1)
        return f"unknown setting; did you mean {near[0]}?" if near else "unknown setting"

    def _names_beside(self, path: Sequence[str]) -> list[str]:
        model = self._model
        for part in path[:-1]:
            field = model.model_fields.get(part)
            section = None if field is None else section_of(field.annotation)
            if section is None:
                return []
            model = section
        return list(model.model_fields)


def _holds(content: Mapping[str, Any], path: Sequence[str]) -> bool:
    inner: Any = content
    for part in path:
        if not isinstance(inner, Mapping):
            break  # the rest of the path lies inside one value
        if part not in inner:
            return False
        inner = inner[part]
    return True


def section_of(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field's annotation names, if it names one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None
