"""A worker tells its figures on a port of its own."""

from urllib.parse import urljoin

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from roles import running_role

from api.settings import Role
from bridge import MetricsSettings


@pytest.fixture
async def metrics_url(settings, tmp_path, eventually):
    """The URL that a worker process logs, which has a free port."""
    changed = settings.model_copy(update={"metrics": MetricsSettings(worker_port=0)})
    async with running_role(Role.WORKER, changed, tmp_path / "worker.log") as worker:
        line = await eventually(lambda: worker.find("process.metrics"), within_s=20)
        yield line["url"]


async def figures(url):
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        families = text_string_to_metric_families(await answer.text())
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in families
        for sample in family.samples
    }


async def test_a_worker_tells_what_became_of_its_jobs(metrics_url, http, eventually):
    given = {"assistant_id": "echo", "input": {"events": 3}}
    async with http.post("/runs/wait", json=given) as answer:
        assert answer.status == 200, await answer.text()

    async def ended():
        told = await figures(metrics_url)
        return told if told["jetrun_worker_ended_runs_total", "success"] == 1 else None

    told = await eventually(ended)
    assert told["jetrun_worker_jobs_total",] == 1
    assert told["jetrun_worker_repeated_jobs_total",] == 0
    assert told["jetrun_worker_ended_runs_total", "error"] == 0
    assert told["jetrun_worker_places",] == 32
    assert told["jetrun_publish_events_total",] >= 4
    assert told["process_resident_memory_bytes",] > 0


async def test_a_worker_is_not_well_while_the_server_is_away(metrics_url, server, eventually):
    health = urljoin(metrics_url, "/health")

    async def status():
        async with aiohttp.ClientSession() as session, session.get(health) as answer:
            return answer.status

    assert await status() == 200
    await server.kill()

    async def is_unwell():
        return await status() == 503

    await eventually(is_unwell)
