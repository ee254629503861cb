"""Import an assistant's function: in worker processes only, because user code runs on import.

User projects have packages of any name. One that would hide, or be hidden by, a package of this
process is refused with an error that names the file, instead of importing the wrong one.
"""

import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias

from runs.errors import AssistantLoadError

Handler: TypeAlias = Callable[..., Any]

OUR_PACKAGES: Final = ("bridge", "runs")
_BUILT_IN: Final = "runs.assistants."
_HOME: Final = Path(__file__).resolve().parent.parent


def load_handler(function: str, root: Path | None = None) -> Handler:
    """Import the function that ``module:attr`` or ``path/file.py:attr`` names.

    Args:
        function: Where it is.
        root: Directory that relative paths and modules are looked up in; ``None`` means the
            working directory.

    Raises:
        AssistantLoadError: It cannot be imported, is missing, or is no function.
    """
    handler = load_attribute(function, root)
    if not inspect.isroutine(handler):
        problem = "must be a function, sync or async; a graph is declared with kind 'graph'"
        raise AssistantLoadError(function, problem)
    checked: Handler = handler
    return checked


def load_attribute(function: str, root: Path | None = None) -> Any:
    """Import whatever ``module:attr`` or ``path/file.py:attr`` names; see :func:`load_handler`.

    Raises:
        AssistantLoadError: It cannot be imported, or is missing.
    """
    target, _, name = function.rpartition(":")
    root = (root or Path.cwd()).resolve()
    if target.startswith(_BUILT_IN):
        module = _import_module(function, target)
    elif target.endswith(".py"):
        _prefer(function, root)
        module = _import_file(function, root / target)
    else:
        _prefer(function, root)
        module = _import_module(function, target)
    found = getattr(module, name, None)
    if found is None:
        raise AssistantLoadError(function, f"{module.__file__} has no {name!r}")
    return found


def prefer_directory(directory: Path) -> None:
    """Have the modules of a user's directory found before installed ones.

    Raises:
        AssistantLoadError: It has a module with the name of a package of this process.
    """
    _prefer(str(directory), directory.resolve())


def _import_file(function: str, path: Path) -> ModuleType:
    path = path.resolve()
    _prefer(function, path.parent)
    if not path.is_file():
        raise AssistantLoadError(function, f"{path} is no file")
    name = f"assistant_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AssistantLoadError(function, f"{path} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as exc:  # user code may raise anything while it is imported
        del sys.modules[name]
        raise AssistantLoadError(function, f"{type(exc).__name__}: {exc}") from exc
    return module


def _import_module(function: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as exc:  # user code may raise anything while it is imported
        raise AssistantLoadError(function, f"{type(exc).__name__}: {exc}") from exc


def _prefer(function: str, directory: Path) -> None:
    # First, so that the user's modules win over installed ones; ours are imported already.
    if directory != _HOME:
        _refuse_clash(function, directory)
    entry = str(directory)
    if entry not in sys.path:
        sys.path.insert(0, entry)


def _refuse_clash(function: str, directory: Path) -> None:
    for name in OUR_PACKAGES:
        for candidate in (directory / f"{name}.py", directory / name / "__init__.py"):
            if candidate.is_file():
                raise AssistantLoadError(
                    function, f"{candidate} has the name of a package of jetrun; rename it"
                )
