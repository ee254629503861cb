"""Every error of the system has one HTTP status, and every problem one form."""

import importlib
import inspect
import json
import pkgutil

import pytest

import api.errors
import bridge
import runs
import store
from api.problems import STATUS_OF_ERROR, problem_of

BASES = {
    bridge.errors.BridgeError,
    runs.errors.RunsError,
    store.errors.StoreError,
    api.errors.GatewayError,
}


def all_errors():
    for package in (bridge, runs, store):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith(".__main__"):
                importlib.import_module(module.name)
    found, level = set(), list(BASES)
    while level:
        level = [each for error in level for each in error.__subclasses__()]
        found.update(level)
    return {error for error in found if error.__module__.partition(".")[0] in PACKAGES}


PACKAGES = {"api", "bridge", "runs", "store"}


def test_every_error_class_is_entered_in_the_table_of_statuses():
    unmapped = {error.__qualname__ for error in all_errors() - STATUS_OF_ERROR.keys()}
    assert unmapped == set()


def test_the_table_holds_no_class_that_is_gone():
    assert STATUS_OF_ERROR.keys() <= all_errors()


def test_codes_are_stable_names_and_belong_to_one_error_each():
    codes = {}
    for error in all_errors():
        assert codes.setdefault(error.code, error) is error, error.code
        assert error.code == error.code.lower().replace("_", "-"), error.code
        assert inspect.getdoc(error), error


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (runs.ThreadNotFoundError("t"), 404, None),
        (runs.RunConflictError("t", "r"), 409, None),
        (runs.QueueFullError("t", 5), 429, "1"),
        (bridge.UnavailableError("x"), 503, "1"),
        (bridge.StreamCapacityExceededError("x"), 507, "1"),
        (bridge.EventTooLargeError(2, 1), 413, None),
        (bridge.InvalidIdError("thread_id", "\udcff"), 422, None),
    ],
)
def test_a_problem_says_what_the_error_says(error, status, retry_after):
    answer = problem_of(error)
    assert answer.status == status
    assert answer.content_type == "application/problem+json"
    assert answer.headers.get("Retry-After") == retry_after
    assert json.loads(answer.body)["detail"] == str(error)


def test_a_subclass_that_nobody_entered_gets_its_parents_status():
    class SpecialConflictError(bridge.ConflictError):
        """Not in the table."""

    assert problem_of(SpecialConflictError("x")).status == 409
