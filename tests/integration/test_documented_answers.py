"""Whatever is sent to a route, its answer is one that the OpenAPI document promises, and no 5xx.

The requests are made from the document, half of them wrong; ``jetrun serve`` answers them.
"""

import os
import re
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
import requests
import schemathesis
from commands import JETRUN, NO_SETTINGS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.core.transport import Response
from schemathesis.specs.openapi import checks as openapi_checks

from api.auth.permissions import OPEN_ROUTES

DOCUMENT = schemathesis.openapi.from_path(Path(__file__).parents[2] / "docs" / "openapi.json")
OPERATIONS = {each.ok().label: each.ok() for each in DOCUMENT.get_all_operations()}
SECRET = "a secret of more than thirty-two characters"
FACTOR = int(os.environ.get("CHAOS_FACTOR", "1"))
EXAMPLES = 20 * FACTOR
#: Streams and waits go on for as long as their run; what came until then is looked at.
LOOK_S = 0.3
OF_EVERY_ANSWER = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
]
OF_WHOLE_ANSWERS = [*OF_EVERY_ANSWER, openapi_checks.response_schema_conformance]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """The URL of a system of its own that knows its callers by tokens."""
    environment = {
        **NO_SETTINGS,
        "JETRUN_AUTH__METHODS": '["jwt"]',
        "JETRUN_AUTH__JWT__SECRET": SECRET,
        "JETRUN_AUTH__JWT__AUDIENCE": "jetrun",
        "JETRUN_AUTH__JWT__DEFAULT_SCOPES": '["read", "run", "operate", "publish"]',
        "JETRUN_HTTP__HEARTBEAT_S": "0.1",
        "JETRUN_DATA": str(tmp_path_factory.mktemp("data")),
    }
    command = [JETRUN, "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http://\S+", process.stdout.readline())[0]
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def session():
    """Sends requests of one user."""
    exp = datetime.now(UTC) + timedelta(hours=3)
    token = jwt.encode({"sub": "her", "aud": "jetrun", "exp": exp}, SECRET)
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {token}"
        yield session


@pytest.fixture
def known(url, session):
    """Names of things that exist, as paths and bodies call them."""

    def make(path, **body):
        answer = session.post(url + path, json=body, timeout=10)
        assert answer.ok, answer.text
        return answer.json()

    thread_id = make("/threads")["thread_id"]
    given = {"assistant_id": "echo", "input": {"events": 3}}
    run_id = make(f"/threads/{thread_id}/runs", **given)["run_id"]
    session.get(f"{url}/threads/{thread_id}/runs/{run_id}/join", timeout=20)
    cron = make("/runs/crons", assistant_id="echo", schedule="0 9 * * *")
    return {
        "thread_id": thread_id,
        "run_id": run_id,
        "cron_id": cron["cron_id"],
        "assistant_id": make("/assistants", graph_id="echo")["assistant_id"],
        "graph_id": "echo",
        "thread_ids": [thread_id],
        "run_ids": [run_id],
        "ids": [thread_id, run_id],
    }


@pytest.mark.chaos
@pytest.mark.parametrize("route", OPERATIONS)
def test_every_answer_is_one_that_the_document_promises(route, url, session, known):
    @settings(
        max_examples=EXAMPLES,
        derandomize=FACTOR == 1,  # new finds are for long runs
        phases=[Phase.generate],
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=requests_for(OPERATIONS[route]), is_known=st.booleans())
    def check(case, is_known):
        if is_known:
            name_known(case, known)
        answer = send(case, url, requests)
        assert (answer.status_code == 401) == (route not in OPEN_ROUTES)
        send(case, url, session)

    check()


def requests_for(operation):
    """Requests as the document wants them, and others where there is anything to be wrong."""
    right = operation.as_strategy(GenerationMode.POSITIVE)
    if not (operation.body or any(operation.iter_parameters())):
        return right
    either = st.one_of(right, operation.as_strategy(GenerationMode.NEGATIVE))
    # Two dots in a path lead to another route before anything is sent.
    return either.filter(lambda case: ".." not in str(case.path_parameters))


def name_known(case, known):
    """Make a request be about what exists, where it names something."""
    for names in (case.path_parameters, case.body):
        if isinstance(names, dict):
            names.update({name: known[name] for name in names.keys() & known.keys()})


def send(case, url, sender):
    """Send a request and check its answer; return it."""
    options = case.as_transport_kwargs(base_url=url)
    if sender is not requests:
        options["headers"].pop("Authorization", None)
    with sender.request(**options, stream=True, timeout=10, allow_redirects=False) as answer:
        is_whole = receive(answer)
        received = Response.from_requests(answer, verify=False)
        case.validate_response(received, checks=OF_WHOLE_ANSWERS if is_whole else OF_EVERY_ANSWER)
        return received


def receive(answer):
    """Read an answer to its end, or as far as it comes soon; return whether it was the end."""
    deadline = time.monotonic() + LOOK_S
    content = b""
    for chunk in answer.iter_content(None):
        content += chunk
        if time.monotonic() > deadline:
            answer._content = b""
            return False
    answer._content = content
    return True
