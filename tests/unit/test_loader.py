"""Assistants' functions are found by file or module, or refused with the reason."""

import sys

import pytest

from runs.errors import AssistantLoadError
from runs.loader import load_handler


@pytest.fixture(autouse=True)
def _restore_imports(monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    before = dict(sys.modules)
    yield
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]
    sys.modules.update(before)


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_function_is_loaded_from_a_file_relative_to_the_root(tmp_path):
    write(tmp_path / "agents" / "mine.py", "async def run(ctx, given):\n    return given\n")
    handler = load_handler("./agents/mine.py:run", tmp_path)
    assert handler.__name__ == "run"
    assert load_handler("agents/mine.py:run", tmp_path) is handler


def test_a_function_is_loaded_from_a_module(tmp_path):
    write(tmp_path / "my_agents.py", "async def run(ctx, given):\n    yield 'a', 1\n")
    assert load_handler("my_agents:run", tmp_path).__module__ == "my_agents"


def test_a_users_file_may_import_its_neighbours(tmp_path):
    write(tmp_path / "my_words.py", "WORD = 'hello'\n")
    write(
        tmp_path / "main.py", "from my_words import WORD\nasync def run(c, g):\n    return WORD\n"
    )
    assert load_handler("main.py:run", tmp_path).__globals__["WORD"] == "hello"


def test_a_users_packages_named_api_and_store_are_theirs(tmp_path):
    write(tmp_path / "store" / "__init__.py", "async def run(ctx, given):\n    return 'theirs'\n")
    sys.modules.pop("store", None)
    handler = load_handler("store:run", tmp_path)
    assert handler.__code__.co_filename == str(tmp_path / "store" / "__init__.py")


@pytest.mark.parametrize("name", ["bridge", "runs"])
@pytest.mark.parametrize("form", ["{}.py", "{}/__init__.py"])
def test_a_module_named_like_one_of_our_packages_is_refused_naming_the_file(tmp_path, name, form):
    clash = write(tmp_path / form.format(name), "async def run(ctx, given):\n    return 1\n")
    write(tmp_path / "main.py", f"import {name}\nasync def run(ctx, given):\n    return 1\n")
    for function in (f"{name}:run", "main.py:run", f"./{form.format(name)}:run"):
        with pytest.raises(AssistantLoadError, match=str(clash)):
            load_handler(function, tmp_path)


def test_our_own_assistants_are_loaded_by_module(tmp_path):
    assert load_handler("runs.assistants.echo:echo", tmp_path).__name__ == "echo"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\n", "no 'run'"),
        ("run = 1\n", "must be a function"),
        ("class run:\n    pass\n", "must be a function"),
        ("import does_not_exist_anywhere\n", "ModuleNotFoundError"),
        ("raise RuntimeError('at import')\n", "RuntimeError: at import"),
        ("def run(:\n", "SyntaxError"),
    ],
)
def test_what_cannot_be_executed_is_refused_with_the_reason(tmp_path, text, reason):
    write(tmp_path / "broken.py", text)
    for function in ("broken.py:run", "broken:run"):
        with pytest.raises(AssistantLoadError, match=reason):
            load_handler(function, tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(AssistantLoadError, match=str(tmp_path / "none.py")):
        load_handler("none.py:run", tmp_path)
