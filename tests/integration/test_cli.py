import asyncio
import ipaddress
import json
import os
import re
import signal
import socket
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import aiohttp
import jwt
import pytest
from commands import JETRUN, NO_SETTINGS, run_command

EVERYWHERE = str(ipaddress.IPv4Address(0))


jetrun = partial(run_command, None)


def descendants(pid):
    """The process ids below ``pid`` with their commands."""
    parents, commands = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            stat = (entry / "stat").read_text()
            parents[int(entry.name)] = int(stat.rpartition(")")[2].split()[1])
            commands[int(entry.name)] = (
                (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            )
    found, level = {}, {pid}
    while level:
        level = {child for child, parent in parents.items() if parent in level}
        found |= {child: commands[child] for child in level}
    return found


def environment_of(pid):
    return Path(f"/proc/{pid}/environ").read_bytes().decode()


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Served:
    """A running ``jetrun serve``."""

    def __init__(self, process, log_path):
        self.process = process
        self.log_path = log_path
        self.url = None

    async def ready(self):
        async with asyncio.timeout(30):
            line = (await self.process.stdout.readline()).decode()
        self.url = re.search(r"http://\S+", line)[0]

    def child(self, part):
        found = [pid for pid, command in descendants(self.process.pid).items() if part in command]
        return found[0] if found else None

    async def get(self, path):
        async with aiohttp.ClientSession() as session, session.get(self.url + path) as response:
            return response.status, await response.text()

    async def post(self, path, body):
        async with (
            aiohttp.ClientSession() as session,
            session.post(self.url + path, json=body) as response,
        ):
            assert response.status == 200, await response.text()
            return await response.json()


@pytest.fixture
async def serve(tmp_path):
    started = []

    async def serve(*arguments, cwd=None, **settings):
        log_path = tmp_path / f"serve-{len(started)}.log"
        with log_path.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                JETRUN,
                "serve",
                "--data",
                tmp_path / "data",
                *map(str, arguments),
                cwd=cwd,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**NO_SETTINGS, **settings},
            )
        served = Served(process, log_path)
        started.append(served)
        await served.ready()
        return served

    yield serve
    for served in started:
        if served.process.returncode is None:
            served.process.terminate()
        async with asyncio.timeout(30):
            await served.process.communicate()


async def test_serve_starts_on_a_free_port_answers_and_stops_all_children(serve, eventually):
    served = await serve("--port", 0)
    assert (await served.get("/ok"))[0] == 200
    await eventually(lambda: served.child("runs.worker") and served.child("store.sink"))
    children = descendants(served.process.pid)
    assert any("nats-server" in command for command in children.values())

    served.process.terminate()
    async with asyncio.timeout(30):
        status = await served.process.wait()

    assert status == 0
    assert not [pid for pid in children if is_alive(pid)]


async def test_commands_reach_the_server_that_serve_runs(serve, tmp_path, eventually):
    served = await serve("--port", 0, JETRUN_AUTH__METHODS='["api-key"]')
    of_directory = ("--data", tmp_path / "data")
    access = tmp_path / "data" / "nats" / "access.json"
    assert access.stat().st_mode & 0o777 == 0o600
    assert json.loads(access.read_text())["password"] not in served.log_path.read_text()

    status, out, err = await jetrun("keys", "create", "ops", "--operator", *of_directory)
    assert status == 0, err
    async with (
        aiohttp.ClientSession(headers={"x-api-key": out.strip()}) as session,
        session.get(f"{served.url}/info") as answer,
    ):
        assert answer.status == 200

    await eventually(lambda: served.child("store.sink"))

    async def sink_obeys(action, *states):
        _, out, _ = await jetrun("sink", action, "--json", *of_directory)
        return out != "" and json.loads(out)["state"] in states

    await eventually(lambda: sink_obeys("pause", "paused"), within_s=30)
    await eventually(lambda: sink_obeys("resume", "archiving", "standby"), within_s=30)

    served.process.terminate()
    async with asyncio.timeout(30):
        await served.process.wait()
    assert not access.exists()


async def test_a_run_is_executed_streamed_and_archived_by_what_serve_started(
    serve, eventually, tmp_path
):
    served = await serve("--port", 0)

    thread = await served.post("/threads", {})
    run = await served.post(
        f"/threads/{thread['thread_id']}/runs", {"assistant_id": "echo", "input": {"text": "hello"}}
    )
    status, out, _ = await jetrun("tail", run["run_id"], "--json", "--url", served.url)

    events = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert events[0]["event"] == "metadata"
    assert events[-1]["event"] == "end"
    numbers = [int(event["id"].partition("-")[2]) for event in events]
    assert numbers == list(range(1, len(events) + 1))
    path = tmp_path / f"data/threads/{thread['thread_id']}/runs/{run['run_id']}.jsonl"
    await eventually(lambda: path.exists() and path.read_bytes().count(b"\n") == len(events))

    rest = await jetrun("tail", run["run_id"], "--after", events[1]["id"], "--url", served.url)
    assert len(rest[1].splitlines()) == len(events) - 2


async def test_assistants_of_a_project_run_beside_packages_named_like_ours(serve, tmp_path):
    project = tmp_path / "project"
    for package in ("api", "store"):
        (project / package).mkdir(parents=True)
        (project / package / "__init__.py").write_text("NAME = 'of the project'")
    (project / "agent.py").write_text(
        "from api import NAME\n"
        "from langgraph.config import get_stream_writer\n"
        "from langgraph.graph import START, StateGraph\n"
        "def tell(state):\n"
        "    get_stream_writer()({'name': NAME})\n"
        "    return state\n"
        "agent = StateGraph(dict).add_node('tell', tell).add_edge(START, 'tell')\n"
    )
    config = project / "langgraph.json"
    config.write_text('{"dependencies": ["."], "graphs": {"mine": "./agent.py:agent"}}')
    served = await serve("--port", 0, "--config", config, cwd=project)

    thread = await served.post("/threads", {})
    body = {"assistant_id": "mine", "input": {"a": 1}, "stream_mode": "custom"}
    run = await served.post(f"/threads/{thread['thread_id']}/runs", body)
    _, out, _ = await jetrun("tail", run["run_id"], "--json", "--url", served.url)

    events = [json.loads(line) for line in out.splitlines()]
    assert {"name": "of the project"} in [event["data"] for event in events]
    assert events[-1]["event"] == "end"


async def test_a_child_that_is_killed_is_started_again(serve, eventually):
    served = await serve("--port", 0)

    async def is_ready():
        return (await served.get("/readyz"))[0] == 200

    for role in ("runs.worker", "store.sink", "nats-server"):
        first = await eventually(lambda role=role: served.child(role), within_s=10)

        os.kill(first, signal.SIGKILL)

        await eventually(
            lambda role=role, first=first: served.child(role) not in {None, first},
            within_s=10,
            what=f"{role} is there again",
        )
        await eventually(is_ready, within_s=15)


async def test_no_child_outlives_a_serve_that_was_killed(serve, eventually):
    served = await serve("--port", 0)
    await eventually(lambda: served.child("runs.worker") and served.child("store.sink"))
    children = descendants(served.process.pid)

    served.process.kill()

    await eventually(lambda: not [pid for pid in children if is_alive(pid)])


async def test_roles_limit_what_is_started(serve, server):
    served = await serve(
        "--port",
        0,
        "--roles",
        "gateway",
        "--nats",
        server.url,
        JETRUN_NATS__USER=server.user,
        JETRUN_NATS__PASSWORD=server.password.get_secret_value(),
    )

    assert descendants(served.process.pid) == {}
    assert (await served.get("/readyz"))[0] == 200


async def test_credentials_are_in_no_command_line(serve, eventually):
    secret = "not-in-any-argument"
    served = await serve("--port", 0, JETRUN_NATS__TOKEN=secret)
    await eventually(lambda: served.child("runs.worker"))

    commands = descendants(served.process.pid).values()

    assert not [command for command in commands if secret in command]


async def test_serve_authenticates_everywhere_and_workers_know_none_of_its_secrets(
    serve, eventually
):
    secret = "a secret of more than thirty-two characters"
    settings = {
        "JETRUN_AUTH__METHODS": '["api-key", "jwt"]',
        "JETRUN_AUTH__JWT__SECRET": secret,
        "JETRUN_AUTH__JWT__AUDIENCE": "jetrun",
        "JETRUN_AUTH__STREAM_TOKEN_SECRET": secret,
    }
    served = await serve("--port", 0, **settings)
    assert (await served.get("/ok"))[0] == 200
    assert (await served.get("/info"))[0] == 401
    token = jwt.encode({"sub": "her", "aud": "jetrun", "exp": time.time() + 60}, secret)
    sent = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(served.url, headers=sent) as http:
        body = {"assistant_id": "echo", "input": {"values": 1}}
        async with http.post("/runs/wait", json=body) as answer:
            assert answer.status == 200, await answer.text()
            run_id = answer.headers["Content-Location"].rpartition("/")[2]
    status, out, _ = await jetrun(
        "tail", run_id, "--url", served.url, "--json", LANGGRAPH_API_KEY=token
    )
    assert (status, json.loads(out.splitlines()[-1])["event"]) == (0, "end")
    worker = await eventually(lambda: served.child("runs.worker"))
    assert secret not in environment_of(worker)
    log = served.log_path.read_text()
    assert '"audit"' in log
    assert secret not in log
    assert token not in log


async def test_print_config_shows_what_is_in_force_without_credentials():
    status, out, _ = await jetrun(
        "serve", "--print-config", "--port", 8000, JETRUN_NATS__PASSWORD="secret-of-the-test"
    )

    assert status == 0
    assert json.loads(out)["http"]["port"] == 8000
    assert "secret-of-the-test" not in out


def one_line(err):
    lines = err.splitlines()
    assert len(lines) == 1, err
    assert lines[0].startswith("error: ")
    return lines[0]


async def test_a_mistyped_variable_ends_the_command_with_one_line():
    status, _, err = await jetrun("serve", JETRUN_HTTPP__PORT="1")

    assert status == 1
    assert "JETRUN_HTTPP__PORT is no setting of jetrun; did you mean JETRUN_HTTP?" in one_line(err)


async def test_a_taken_port_ends_the_command_with_one_line_before_anything_is_started(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, err = await jetrun("serve", "--port", port, "--data", tmp_path / "data")

    assert status == 1
    assert f"127.0.0.1:{port} is in use" in one_line(err)
    assert not (tmp_path / "data").exists()


async def test_a_host_beyond_the_loopback_is_refused_unless_it_is_wanted(tmp_path):
    status, _, err = await jetrun("serve", "--host", EVERYWHERE, "--data", tmp_path / "data")

    assert status == 1
    assert "not authenticated" in one_line(err)
    assert "--allow-unauthenticated" in err
    assert not (tmp_path / "data").exists()


async def test_an_absent_nats_server_ends_the_command_with_one_line(tmp_path):
    status, _, err = await jetrun(
        "serve",
        "--port",
        0,
        "--nats",
        "nats://127.0.0.1:1",
        "--data",
        tmp_path,
        JETRUN_NATS__CONNECT_TIMEOUT_S="0.5",
        JETRUN_LOG__OUTAGE_BUDGET_S="0.5",
        JETRUN_LOGGING__LEVEL="error",
    )

    assert status == 1
    assert "NATS" in one_line(err)


async def test_a_data_directory_in_use_ends_the_command_with_one_line(serve, tmp_path):
    await serve("--port", 0)

    status, _, err = await jetrun("serve", "--port", 0, "--data", tmp_path / "data")

    assert status == 1
    assert "is in use by process" in one_line(err)


async def test_a_data_directory_that_is_a_file_ends_the_command_with_one_line(tmp_path):
    path = tmp_path / "file"
    path.touch()

    status, _, err = await jetrun("serve", "--port", 0, "--data", path)

    assert status == 1
    assert f"{path}: cannot be used as data directory" in one_line(err)


async def test_tail_of_an_unknown_run_says_so(gateway):
    status, out, err = await jetrun("tail", "unknown", "--url", gateway.url)

    assert (status, out) == (1, "")
    assert "404" in one_line(err)


@pytest.mark.parametrize("run_id", ["a b", "../x", "x" * 65])
async def test_tail_refuses_what_is_no_run_id(run_id):
    status, _, err = await jetrun("tail", run_id)

    assert status == 1
    assert "run_id" in one_line(err)


async def test_the_version_is_printed():
    assert await jetrun("--version") == (0, "jetrun 0.1.0\n", "")
