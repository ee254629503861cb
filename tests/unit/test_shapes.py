"""What clients get to see of runs and threads."""

import json

import pytest

from api.shapes import REDACTED, run_shape, thread_shape
from runs import AssistantCatalog, RunSpec, RunStatus
from runs.admission import new_record, new_thread
from runs.thread import LastRun

SECRETS = {
    "api_key": "s3cret",
    "OPENAI_API_KEY": "s3cret",
    "Authorization": "s3cret",
    "nested": [{"db_password": "s3cret", "kept": 1}],
}


@pytest.mark.parametrize("place", ["metadata", "config", "context"])
def test_secrets_in_metadata_and_config_are_not_echoed(place):
    spec = RunSpec(assistant_id="echo", **{place: SECRETS})
    thread = new_thread("t", SECRETS, None)
    run = new_record(spec, AssistantCatalog().get("echo"), "r", thread)
    for shape in (run_shape(run), thread_shape(thread)):
        assert "s3cret" not in json.dumps(shape)
    shown = run_shape(run)
    inside = shown["metadata"] if place == "metadata" else shown["kwargs"][place]
    assert inside["nested"] == [{"db_password": REDACTED, "kept": 1}]


@pytest.mark.parametrize("asked", [5, ["q"], [{"value": "q"}]])
def test_what_a_function_returned_is_not_taken_for_a_question(asked):
    last = LastRun(run_id="r", status=RunStatus.INTERRUPTED)
    thread = new_thread("t", {}, None).model_copy(update={"last": last})
    shown = thread_shape(thread, {"a": 1, "__interrupt__": asked})
    assert (shown["status"], shown["interrupts"]) == ("interrupted", {})
    assert shown["values"] == {"a": 1}
