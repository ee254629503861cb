"""The examples run as they stand, as processes of their own, against a real server."""

import asyncio
import re
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from commands import JETRUN, NO_SETTINGS
from langgraph_sdk import get_client

from api.environment import to_environment
from bridge import RunRef, new_event
from store import ArchiveLayout, encode_line
from store.placing import place_events
from store.run_forms import adopt_draft, write_draft

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHIN_S = 40


@pytest.fixture
def environment(settings):
    """The environment in which every process of one test finds the server and its directory."""
    variables = to_environment(settings)
    wanted = ("JETRUN_NATS__", "JETRUN_DATA")
    return {
        **NO_SETTINGS,
        **{name: variables[name] for name in variables if name.startswith(wanted)},
    }


@pytest.fixture
def run_example(environment):
    """Run one example to its end and return what it printed, by line."""

    async def run(name, *arguments):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / name,
            *arguments,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(WITHIN_S):
            out, err = await process.communicate()
        assert (process.returncode, err.decode()) == (0, "")
        return out.decode().splitlines()

    return run


@pytest.fixture
async def served_url(environment):
    """The URL of ``jetrun serve`` with the assistants of the examples."""
    async with serving(environment, "--config", str(EXAMPLES / "jetrun.toml")) as url:
        yield url


@asynccontextmanager
async def serving(environment, *arguments):
    process = await asyncio.create_subprocess_exec(
        JETRUN, "serve", "--port", "0", *arguments, env=environment, stdout=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            line = (await process.stdout.readline()).decode()
        yield re.search(r"http://\S+", line)[0]
    finally:
        process.terminate()
        await process.communicate()


async def test_a_run_is_published_and_followed_and_plain_nats_reads_the_same(run_example):
    lines = await run_example("follow_and_publish.py")
    events = [line.split(" ", 1) for line in lines if line[0].isdigit()]
    assert [line for _, line in events][1:] == [
        *(f"progress {{'step': {step}}}" for step in range(1, 6)),
        "end None",
    ]
    assert [int(event_id.split("-")[1]) for event_id, _ in events] == list(range(1, 8))
    assert lines[3] == f"left after {events[2][0]}"
    assert lines[-1] == "status ended"

    consumed = [line.split(" ", 2) for line in await run_example("plain_nats_consumer.py")]
    assert [line for _, _, line in consumed] == [" ".join(each) for each in events]
    assert {thread_id for thread_id, _, _ in consumed} == {"examples"}

    run_id = consumed[0][1]
    assert await run_example("plain_nats_consumer.py") == []  # all of it was acknowledged
    of_one_run = await run_example("plain_nats_consumer.py", run_id)
    assert [line.split(" ", 2)[2] for line in of_one_run] == [line for _, _, line in consumed]


async def test_a_durable_consumer_bills_each_order_once_and_shows_what_it_gave_up(run_example):
    for times in (1, 2):
        lines = await run_example("durable_consumer.py")
        billed, given_up = lines[:2], lines[2:]
        assert billed == ["billed ada at attempt 1", "billed grace at attempt 1"]
        assert len(given_up) == times
        for line in given_up:
            assert re.fullmatch(r"given up \d+-3 an order without a customer", line)


async def test_a_service_publishes_over_http_and_with_the_bridge(run_example, served_url):
    http, bridge, *read = await run_example("publish_from_a_service.py", served_url)
    ids = [re.search(r"\d+-\d+", line)[0] for line in (http, bridge)]
    assert http == f"over HTTP {ids[0]} repeated True"
    assert bridge == f"with the bridge {ids[1]} repeated True"
    assert read == [f"read {ids[0]} {{'page': 1}}", f"read {ids[1]} {{'page': 2}}"]


async def test_sums_are_kept_over_restarts(run_example, tmp_path):
    path = str(tmp_path / "sums.db")
    for times in (1, 2):
        assert await run_example("running_sums.py", path) == [
            f"seconds search {1.5 * times}",
            f"tokens large {900.0 * times}",
            f"tokens small {150.0 * times}",
        ]


async def test_a_graph_chats_with_a_tool_and_remembers(run_example):
    assert await run_example("graphs/talk.py") == [
        "you    hello there",
        "chat   You said: hello there",
        "you    what is 17 and 25",
        "chat   The sum is 42",
        "kept   ['human', 'ai', 'human', 'ai', 'tool', 'ai']",
    ]


async def test_a_graph_asks_a_person_and_does_what_he_says(run_example):
    assert await run_example("graphs/approve.py") == [
        "asks   {'question': 'Send this?', 'text': 'Dear Ada, all is well.'}",
        "thread interrupted",
        "result {'to': 'Ada', 'text': 'Dear Ada, all is very well.', 'sent': True}",
        "thread idle",
    ]


async def test_the_sdk_streams_resumes_and_waits_and_the_own_assistant_counts(
    run_example, served_url
):
    events, again, result = await run_example("sdk_client.py", served_url)
    ids = re.findall(r"\('(\d+-\d+)', '(\w+)'\)", events)
    assert [name for _, name in ids] == ["metadata", *["echo"] * 4, "values", "end"]
    assert re.findall(r"\('(\d+-\d+)', '(\w+)'\)", again) == ids[3:]
    assert result == "result {'hello': 'world'}"
    async with get_client(url=served_url) as client:
        assert await client.runs.wait(None, "count", input={"to": 4}) == {"sum": 10}


async def test_duckdb_and_polars_agree_about_the_archive(run_example, tmp_path):
    layout = ArchiveLayout(tmp_path / "archive")
    used = [("small", 120), ("large", 900), ("small", 30)]
    for n in range(2):
        run = RunRef("thread-1", f"run-{n}")
        made = [
            *(new_event("usage", {"model": model, "tokens": count}) for model, count in used),
            new_event("tool", {"name": "search", "seconds": 1.5}),
            new_event("note", ["any", {"tokens": "value"}, None]),
        ]
        events = place_events(run, made, last_seq=10 * n, last_run_seq=0)
        layout.run(run).parent.mkdir(parents=True, exist_ok=True)
        layout.run(run).write_bytes(b"".join(map(encode_line, events)) + b'{"thread_id":"thr')
        if n:  # an ended run that was compressed
            assert adopt_draft(layout, run, write_draft(layout, run, lambda: True))
    sums = {"large": 1800.0, "search": 3.0, "small": 300.0}
    printed = await run_example("archive_sums.py", str(layout.root))
    assert printed == [f"duckdb {sums}", f"polars {sums}"]
