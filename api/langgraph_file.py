"""Read ``langgraph.json``, the file that projects for the LangGraph platform have already.

Every field is honoured, refused by name, or warned about; what only the platform's image builder
needs is passed over.
"""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from dotenv import dotenv_values

from api.config_objects import known_object
from api.langgraph_http import read_http
from api.langgraph_webhooks import read_webhooks
from api.startup_errors import ConfigFileError

_GRAPHS: Final = "graphs"

#: What the platform builds its images from; here a virtual environment is built by its owner.
_BUILD_KEYS: Final = frozenset(
    {
        "$schema",
        "api_version",
        "base_image",
        "building",
        "dockerfile_lines",
        "image_distro",
        "keep_pkg_tools",
        "node_version",
        "pip_config_file",
        "pip_installer",
        "source",
    }
)
#: Passed over with a warning.
_WARNED_KEYS: Final = frozenset({"python_version", "ui", "ui_config"})
_REFUSED: Final[Mapping[str, str]] = {
    "auth": "users prove who they are as JETRUN_AUTH__METHODS says, without code of yours",
    "encryption": "nothing is encrypted here; use an encrypted disk",
    "priority": "runs have no priorities here",
}
_JAVASCRIPT: Final = frozenset({".cjs", ".cts", ".js", ".jsx", ".mjs", ".mts", ".ts", ".tsx"})
_MINUTE_S: Final = 60.0
_WEBHOOKS: Final = "webhooks"
_WEBHOOK_KEYS: Final = {"env_prefix", "headers", "url"}


def read_langgraph_file(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that a ``langgraph.json`` asks for, in the shape of the sections.

    Args:
        path: The file; what it names is relative to its directory.
        content: What stands in it.

    Raises:
        ConfigFileError: A field is malformed, or cannot be honoured; the message names it.
    """
    for key in sorted(content.keys() & _REFUSED.keys()):
        if content[key] is not None:
            raise ConfigFileError(path, f"key {key!r} is not supported: {_REFUSED[key]}; remove it")
    readers: dict[str, Callable[[Path, Any], dict[str, Any]]] = {
        _GRAPHS: _read_graphs,
        "dependencies": _read_dependencies,
        "env": _read_env,
        "checkpointer": _read_checkpointer,
        "store": _read_store,
        "http": read_http,
    }
    known = {*readers, _WEBHOOKS, *_REFUSED, *_BUILD_KEYS, *_WARNED_KEYS}
    unknown = content.keys() - known
    if unknown:
        raise ConfigFileError(path, f"key {min(unknown)!r} is not supported; remove it")
    sections: dict[str, Any] = {"graphs": {"dependencies": [str(path.absolute().parent)]}}
    for key, read in readers.items():
        if content.get(key) is not None:
            for section, settings in read(path, content[key]).items():
                sections[section] = {**sections.get(section, {}), **settings}
    if content.get(_WEBHOOKS) is not None:
        webhooks = known_object(path, _WEBHOOKS, content[_WEBHOOKS], _WEBHOOK_KEYS)
        env = sections["graphs"].get("env", {})
        sections[_WEBHOOKS] = read_webhooks(path, webhooks, env)
    return sections


def warnings_of(content: Mapping[str, Any]) -> list[str]:
    """Return what people should know of a ``langgraph.json`` although it works."""
    warnings = []
    wanted = content.get("python_version")
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if wanted is not None and str(wanted) != here:
        warnings.append(f"python_version is {wanted}, and workers run on {here}")
    warnings.extend(
        f"{key} is passed over: components of user interfaces are not served here"
        for key in ("ui", "ui_config")
        if content.get(key)
    )
    graphs = content.get(_GRAPHS)
    if not graphs:
        warnings.append("no graphs are declared")
    return warnings


def _read_graphs(path: Path, graphs: object) -> dict[str, Any]:
    if not isinstance(graphs, dict):
        raise ConfigFileError(path, "graphs must be an object")
    return {"assistants": {name: _read_graph(path, name, graphs[name]) for name in graphs}}


def _read_graph(path: Path, name: str, graph: object) -> dict[str, Any]:
    declared = {"path": graph} if isinstance(graph, str) else graph
    if not isinstance(declared, dict) or not {"path"} <= declared.keys() <= _GRAPH_KEYS:
        problem = f"graphs.{name} must be 'file.py:attribute', or hold path and description"
        raise ConfigFileError(path, problem)
    target = declared["path"]
    if not isinstance(target, str):
        raise ConfigFileError(path, f"graphs.{name}.path must be a string")
    if Path(target.rpartition(":")[0]).suffix in _JAVASCRIPT:
        problem = f"graphs.{name} is JavaScript, which workers do not execute; remove it"
        raise ConfigFileError(path, problem)
    description = declared.get("description") or ""
    return {"function": target, "kind": "graph", "description": description}


_GRAPH_KEYS: Final = frozenset({"path", "description"})


def _read_dependencies(path: Path, dependencies: object) -> dict[str, Any]:
    if not isinstance(dependencies, list) or not all(
        isinstance(each, str) for each in dependencies
    ):
        raise ConfigFileError(path, "dependencies must be a list of strings")
    home = path.absolute().parent
    # Others are packages, which whoever made the virtual environment has installed.
    local = [(home / each).resolve() for each in dependencies if each.startswith((".", "/"))]
    for directory in local:
        if not directory.is_dir():
            raise ConfigFileError(path, f"dependencies: {directory} is no directory")
    directories = dict.fromkeys(str(each) for each in (*local, home))
    return {"graphs": {"dependencies": list(directories)}}


def _read_env(path: Path, env: object) -> dict[str, Any]:
    if isinstance(env, str):
        file = path.absolute().parent / env
        if not file.is_file():
            raise ConfigFileError(path, f"env: {file} is no file")
        env = {name: value or "" for name, value in dotenv_values(file).items()}
    if not isinstance(env, dict) or not all(isinstance(value, str) for value in env.values()):
        raise ConfigFileError(path, "env must name a file, or be an object of strings")
    return {"graphs": {"env": env}}


def _read_checkpointer(path: Path, checkpointer: object) -> dict[str, Any]:
    known = known_object(path, "checkpointer", checkpointer, {"path", "serde", "ttl"})
    names = {"allowed_json_modules", "allowed_msgpack_modules", "pickle_fallback"}
    serde = known_object(path, "checkpointer.serde", known.get("serde") or {}, names)
    settings = dict(serde)
    if known.get("path") is not None:
        settings["checkpointer"] = anchored(path, str(known["path"]))
    ttl = known_object(path, "checkpointer.ttl", known.get("ttl") or {}, _THREAD_TTL.keys())
    expiry = {
        _THREAD_TTL[name]: _number(path, f"checkpointer.ttl.{name}", each)
        if name in _IN_MINUTES
        else each
        for name, each in ttl.items()
        if each is not None
    }
    return {"graphs": settings, "expiry": expiry}


#: By the platform's name: what its time to live of checkpoints, which is that of threads, is here.
_THREAD_TTL: Final[Mapping[str, str]] = {
    "strategy": "idle_thread_strategy",
    "default_ttl": "idle_thread_ttl_s",
    "sweep_interval_minutes": "interval_s",
    "sweep_limit": "max_per_step",
}
_IN_MINUTES: Final = frozenset({"default_ttl", "sweep_interval_minutes"})


def _read_store(path: Path, store: object) -> dict[str, Any]:
    known = known_object(path, "store", store, {"index", "ttl"})
    if known.get("index"):
        problem = "store.index is not supported: nothing is searched by meaning; remove it"
        raise ConfigFileError(path, problem)
    # Items leave by themselves, so nothing is swept, however often that is asked for.
    names = {"default_ttl", "refresh_on_read", "sweep_interval_minutes"}
    ttl = known_object(path, "store.ttl", known.get("ttl") or {}, names)
    settings: dict[str, Any] = {}
    if ttl.get("default_ttl") is not None:
        settings["store_ttl_s"] = _number(path, "store.ttl.default_ttl", ttl["default_ttl"])
    if ttl.get("refresh_on_read") is not None:
        settings["store_ttl_refreshes"] = ttl["refresh_on_read"]
    return {"graphs": settings}


def _number(path: Path, name: str, minutes: object) -> float:
    if isinstance(minutes, bool) or not isinstance(minutes, int | float):
        raise ConfigFileError(path, f"{name} must be a number of minutes")
    return minutes * _MINUTE_S


def anchored(path: Path, target: str) -> str:
    """Return ``file.py:attr`` with the file found from the directory of the file that names it."""
    file, colon, attribute = target.rpartition(":")
    if not file.endswith(".py"):
        return target
    return f"{path.absolute().parent / file}{colon}{attribute}"
