"""The commands of users and operators, as processes of their own against a gateway at work."""

import asyncio
import json
import signal
from contextlib import AsyncExitStack

import pytest
from commands import run_command, running_command
from gateways import running_gateway

from api.auth.settings import AuthSettings
from bridge.server.free_port import pick_free_port
from runs import RunSpec


@pytest.fixture
def ask(settings, gateway):
    """Run a command that asks the gateway: ``await ask("runs", "list")``."""

    async def ask(*arguments, given=b"", **environment):
        return await run_command(
            settings, *arguments, "--url", gateway.url, given=given, **environment
        )

    return ask


async def test_runs_are_listed_shown_stopped_and_deleted(ask, open_run):
    listed = await ask("runs", "list", "--status", "pending", "--json")
    assert [run["run_id"] for run in json.loads(listed.out)] == [open_run.run_id]
    table = await ask("runs", "list", "--thread", open_run.thread_id)
    assert (open_run.run_id in table.out, "pending" in table.out) == (True, True)

    stopped = await ask("runs", "cancel", open_run.run_id, "--wait", "--json")
    assert json.loads(stopped.out)["run"]["status"] == "interrupted"
    shown = await ask("runs", "show", open_run.run_id)
    assert (shown.status, "interrupted" in shown.out) == (0, True)

    deleted = await ask("runs", "delete", open_run.run_id)
    assert (deleted.status, "is deleted" in deleted.err) == (0, True)
    gone = await ask("runs", "show", open_run.run_id)
    assert (gone.status, gone.out) == (1, "")
    assert "there is no run" in gone.err
    assert "see what there is with `jetrun runs list`" in gone.err


async def test_threads_and_assistants_are_listed_and_shown(ask, open_run):
    threads = await ask("threads", "list", "--json")
    assert [each["thread_id"] for each in json.loads(threads.out)] == [open_run.thread_id]
    shown = await ask("threads", "show", open_run.thread_id)
    assert "busy" in shown.out
    assistants = await ask("assistants", "list", "--json")
    assert "echo" in [each["name"] for each in json.loads(assistants.out)]
    assert "echo" in (await ask("assistants", "show", "echo")).out
    deleted = await ask("threads", "delete", open_run.thread_id, "--json")
    assert json.loads(deleted.out) == {"thread_id": open_run.thread_id, "deleted": True}


async def test_lines_of_standard_input_become_events_that_tail_shows(ask, open_run):
    lines = b'{"event": "note", "data": {"n": 1}}\n\n{"event": "tick", "data": [2]}\n'
    published = await ask("publish", open_run.run_id, given=lines)
    assert (published.status, "2 events are stored" in published.err) == (0, True)
    named = await ask("publish", open_run.run_id, "--event", "log", "--json", given=b'"text"\n')
    last = json.loads(named.out)["id"]
    await open_run.end()

    shown = await ask("tail", open_run.run_id, "--json")
    events = [json.loads(line) for line in shown.out.splitlines()]
    assert [each["event"] for each in events] == ["metadata", "note", "tick", "log", "end"]
    assert [each["data"] for each in events[1:4]] == [{"n": 1}, [2], "text"]
    coloured = await ask("tail", open_run.run_id, "--after", last, FORCE_COLOR="1")
    assert "\x1b[" in coloured.out
    assert ("log" in coloured.out, "end" in coloured.out) == (False, True)


async def test_a_line_that_is_no_event_is_named_and_those_before_it_are_stored(
    ask, gateway, open_run
):
    lines = b'{"event": "note", "data": 1}\n{"data": 2}\n{"event": "note", "data": 3}\n'
    refused = await ask("publish", open_run.run_id, given=lines)
    assert (refused.status, "line 2" in refused.err) == (1, True)
    assert "go on from line 2" in refused.err
    assert (await gateway.bridge.status(open_run.run_id)).event_count == 2


async def test_publishing_goes_on_when_the_gateway_comes_back_and_stores_nothing_twice(settings):
    http = settings.http.model_copy(update={"port": pick_free_port("127.0.0.1")})
    settings = settings.model_copy(update={"http": http})
    url = f"http://127.0.0.1:{http.port}"
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_gateway(settings))
        spec = RunSpec(assistant_id="echo", if_not_exists="create")
        run = await first.facade.create_background(spec)
        publishing = await stack.enter_async_context(
            running_command(settings, "publish", run.run_id, "--json", "--url", url)
        )
        await stack.enter_async_context(asyncio.timeout(90))
        publishing.stdin.write(b'{"event": "note", "data": 1}\n')
        await publishing.stdout.readline()
        await first.stop()
        publishing.stdin.write(b'{"event": "note", "data": 2}\n')
        second = await stack.enter_async_context(running_gateway(settings))
        await publishing.stdout.readline()
        _, err = await publishing.communicate(b'{"event": "note", "data": 3}\n')
        assert publishing.returncode == 0, err.decode()
        assert (await second.bridge.status(run.run_id)).event_count == 4


async def test_tail_that_is_interrupted_says_how_to_go_on(settings, gateway, open_run):
    last = await open_run.publish("note", {"n": 1})
    told = ("tail", open_run.run_id, "--json", "--url", gateway.url)
    async with asyncio.timeout(90), running_command(settings, *told) as tailing:
        while json.loads(await tailing.stdout.readline())["id"] != last:
            pass
        tailing.send_signal(signal.SIGINT)
        _, err = await tailing.communicate()
    assert tailing.returncode == 1
    assert f"jetrun tail {open_run.run_id} --after {last}" in err.decode()


async def test_publishing_that_waits_for_lines_can_be_interrupted(settings, gateway, open_run):
    told = ("publish", open_run.run_id, "--json", "--url", gateway.url)
    async with asyncio.timeout(90), running_command(settings, *told) as publishing:
        publishing.stdin.write(b'{"event": "note", "data": 1}\n')
        await publishing.stdout.readline()
        publishing.send_signal(signal.SIGINT)
        assert await publishing.wait() == 1


async def test_who_may_not_is_told_how_to_get_a_key(settings, start_gateway):
    gateway = await start_gateway(auth=AuthSettings(methods=("api-key",)))
    refused = await run_command(settings, "runs", "list", "--url", gateway.url)
    assert (refused.status, "jetrun keys create" in refused.err) == (1, True)
    made = await run_command(settings, "keys", "create", "ops", "--operator", "--json")
    key = json.loads(made.out)["key"]
    listed = await run_command(
        settings, "runs", "list", "--json", "--url", gateway.url, LANGGRAPH_API_KEY=key
    )
    assert (listed.status, listed.out.strip()) == (0, "[]")


async def test_streams_are_compared_made_and_changed(settings):
    absent = await run_command(settings, "streams", "verify")
    assert (absent.status, "absent" in absent.out) == (3, True)
    made = await run_command(settings, "streams", "apply")
    assert (made.status, "as the settings want" in made.out) == (0, True)

    log = settings.log.model_copy(update={"max_dead_letters": 7})
    changed = settings.model_copy(update={"log": log})
    drifted = await run_command(changed, "streams", "verify", "--json")
    drifts = {each["stream"]: each["drifts"] for each in json.loads(drifted.out)}
    assert drifted.status == 3
    assert drifts["JETRUN_DEAD"] == [{"field": "max_msgs", "wanted": 7, "found": 100_000}]
    assert (await run_command(changed, "streams", "apply")).status == 0
    shown = await run_command(changed, "streams", "show", "JETRUN_DEAD", "--json")
    assert json.loads(shown.out)["config"]["max_msgs"] == 7
    unknown = await run_command(changed, "streams", "show", "NONE")
    assert (unknown.status, "JETRUN_EVENTS" in unknown.err) == (1, True)


NOWHERE = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("arguments", "step"),
    [
        (("runs", "list", "--url", f"http://{NOWHERE}"), "start one with `jetrun serve`"),
        (("runs", "show", "x", "--url", "nonsense"), "correct --url"),
        (("runs", "show", "no id"), "next: see the ids with `jetrun runs list`"),
        (("keys", "list", "--nats", f"nats://{NOWHERE}"), "next: start nats-server"),
        (("restore", "nowhere"), "use another backup"),
    ],
)
async def test_each_error_ends_with_what_to_do(settings, arguments, step):
    quick = settings.nats.model_copy(update={"connect_timeout_s": 0.5})
    outcome = await run_command(settings.model_copy(update={"nats": quick}), *arguments)
    assert (outcome.status, outcome.out) == (1, "")
    assert step in outcome.err
    assert "Traceback" not in outcome.err


async def test_shells_can_complete_commands(settings):
    words = {"COMP_WORDS": "jetrun runs ca", "COMP_CWORD": "2"}
    completed = await run_command(settings, _JETRUN_COMPLETE="complete_bash", **words)
    assert completed.out.split() == ["cancel"]
