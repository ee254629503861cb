"""The deployment of docker-compose.yml under load: any one process is lost, all are restarted."""

import asyncio
import json
import os
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import aiohttp
import pytest
from certificates import Authority
from clients import REQUEST, LoadedClient
from composition import Composition
from machine import Machine

FACTOR = int(os.environ.get("CHAOS_FACTOR", "1"))
CLIENTS = 4
#: An election, a lease that lapses and a health check that fails come one after the other at worst.
GOES_ON_S = 60.0

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400 + 300 * FACTOR)]

ASSISTANT = """
import asyncio

async def works(ctx, given):
    for n in range(given["steps"]):
        yield "step", n
        await asyncio.sleep(given["pause_s"])
"""


@pytest.fixture
async def start_machine(tmp_path):
    """Start everything, with an assistant that is executed again where its worker is lost."""
    (tmp_path / "assistant.py").write_text(ASSISTANT)
    works = {
        "function": f"{tmp_path / 'assistant.py'}:works",
        "on_worker_lost": "restart",
        "max_attempts": 1000,
    }
    common = {"JETRUN_ASSISTANTS": json.dumps({"works": works}), "JETRUN_RUNS__STALE_S": "1"}
    leases = {"JETRUN_WORKER__LEASE_S": "2", "JETRUN_WORKER__PROBE_S": "1.5"}
    extra = {"worker": {**common, **leases}, "sink": {"JETRUN_ARCHIVE__STANDBY_POLL_S": "0.2"}}
    secrets = {name: f"secret{number}" for number, name in enumerate(sorted(Composition.wanted()))}
    async with AsyncExitStack() as stack:

        async def start(**options):
            composition = Composition(secrets, **options)
            return await stack.enter_async_context(Machine(tmp_path, composition, extra, common))

        yield start


@pytest.fixture
async def machine(start_machine):
    return await start_machine()


@asynccontextmanager
async def under_load(machine):
    """Clients that work until the end of the context, and then have had all of every run."""
    connector = aiohttp.TCPConnector(force_close=True)
    async with (
        aiohttp.ClientSession(connector=connector, timeout=REQUEST) as session,
        asyncio.timeout(GOES_ON_S * 20 * FACTOR),
        asyncio.TaskGroup() as tasks,
    ):
        given = {"steps": 10, "pause_s": 0.05}
        clients = [LoadedClient(session, machine.url, given) for _ in range(CLIENTS)]
        for client in clients:
            tasks.create_task(client.work())
        yield clients
        for client in clients:
            client.is_over = True
    runs = {run_id: seen for client in clients for run_id, seen in client.runs.items()}
    for run_id, seen in runs.items():
        assert seen == list(range(1, len(seen) + 1)), run_id
        assert len(seen) >= given["steps"] + 2, run_id  # metadata, steps, end


async def all_go_on(clients, eventually):
    """Wait until each client has finished two more runs: one of them began after this call."""
    goals = [(client, len(client.runs) + 2) for client in clients]
    await eventually(
        lambda: all(len(client.runs) >= goal for client, goal in goals),
        within_s=GOES_ON_S,
        what="each client goes on",
    )


async def nothing_is_missing(machine, clients, eventually):
    """The archive has caught up with the log, and agrees with it."""
    verify = ("verify", "--data", machine.archive, "--json")

    async def is_archived():
        reports = [
            json.loads(line) for line in (await machine.run("streams", *verify)).splitlines()
        ]
        return reports if not any(report["behind"] for report in reports) else None

    reports = await eventually(is_archived, within_s=GOES_ON_S)
    records = {report["run_id"]: report["records"] for report in reports}
    for client in clients:
        for run_id, seen in client.runs.items():
            assert records[run_id] == len(seen), run_id


async def test_any_one_process_is_lost_and_the_clients_go_on(machine, eventually):
    async with under_load(machine) as clients:
        await all_go_on(clients, eventually)
        for _ in range(FACTOR):
            active = machine.active_sink()
            # The one that waits goes first: afterwards it would be the one that writes.
            standby = {"sink-1": "sink-2", "sink-2": "sink-1"}[active]
            victims = ("nats-1", "gateway-1", "worker-1", standby, active, "proxy")
            for name in victims:
                await machine.members[name].kill()
                if name == "proxy":  # nobody stands in for it
                    await machine.members[name].start()
                await all_go_on(clients, eventually)
                if name != "proxy":
                    await machine.members[name].start()
    await nothing_is_missing(machine, clients, eventually)


async def test_a_rolling_restart_of_everything_shows_no_client_an_error(machine, eventually):
    async with under_load(machine) as clients:
        await all_go_on(clients, eventually)
        for _ in range(FACTOR):
            for name, member in machine.members.items():
                if name == "proxy":
                    await eventually(machine.reload_proxy(), within_s=GOES_ON_S)
                else:
                    await member.stop()
                    await member.start()
                await all_go_on(clients, eventually)
    assert [refusal for client in clients for refusal in client.refusals] == []
    assert sum(client.breaks for client in clients) == 0
    await nothing_is_missing(machine, clients, eventually)


async def test_with_tls_everywhere_events_pass_the_proxy_one_by_one(start_machine, tmp_path):
    authority = Authority(tmp_path / "tls")
    authority.sign("nats")
    machine = await start_machine(with_tls=True)
    given = {"steps": 3, "pause_s": 1.0}
    body = {"assistant_id": "works", "input": given, "stream_mode": "custom"}
    clock = asyncio.get_running_loop().time
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{machine.url}/runs/stream", json=body) as answer,
    ):
        times = [clock() async for line in answer.content if line.startswith(b"event: step")]
    assert len(times) == given["steps"]
    assert all(later - earlier > 0.1 for earlier, later in pairwise(times))
