"""Assistants are known by name and by a stable id, without importing them."""

import sys

import pytest
from pydantic import ValidationError

from runs.catalog import AssistantCatalog
from runs.errors import AssistantNotFoundError
from runs.process import WorkerProcessSettings
from runs.settings import AssistantSettings


def test_the_built_in_assistants_are_there():
    assert AssistantCatalog().names == ("echo", "passages")


def test_the_same_name_has_the_same_id_in_every_process():
    declared = {"agent": AssistantSettings(function="nowhere:run")}
    known = AssistantCatalog(declared).get("agent")
    assert known.assistant_id == "fe096781-5601-53d2-b2f6-0d3403f7e9ca"
    assert AssistantCatalog(declared).get(known.assistant_id) == known


def test_a_declared_assistant_takes_the_place_of_a_built_in_one():
    mine = AssistantSettings(function="nowhere:run", description="mine")
    assert AssistantCatalog({"echo": mine}).get("echo").description == "mine"


def test_a_catalog_imports_no_user_code():
    AssistantCatalog({"agent": AssistantSettings(function="nowhere_at_all:run")})
    assert "nowhere_at_all" not in sys.modules


def test_an_undeclared_assistant_is_not_found():
    with pytest.raises(AssistantNotFoundError):
        AssistantCatalog().get("nobody")


@pytest.mark.parametrize("function", ["no-colon", ":run", "module:", "a b:run", "m:not-a-name"])
def test_a_function_that_names_nothing_is_refused(function):
    with pytest.raises(ValidationError):
        AssistantSettings(function=function)


def test_a_worker_reads_its_settings_from_the_environment(monkeypatch):
    monkeypatch.setenv("JETRUN_NATS__PASSWORD", "12345")
    monkeypatch.setenv("JETRUN_WORKER__LEASE_S", "2.5")
    monkeypatch.setenv("JETRUN_ASSISTANTS", '{"agent": {"function": "./a.py:run"}}')
    monkeypatch.setenv("JETRUN_HTTP__PORT", "8080")
    settings = WorkerProcessSettings()
    assert settings.worker.lease_s == 2.5
    assert settings.assistants["agent"].function == "./a.py:run"
    assert settings.nats.password.get_secret_value() == "12345"


def test_an_assistants_name_is_one_subject_token(monkeypatch):
    monkeypatch.setenv("JETRUN_ASSISTANTS", '{"not a token": {"function": "./a.py:run"}}')
    with pytest.raises(ValidationError):
        WorkerProcessSettings()
