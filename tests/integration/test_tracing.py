"""One event's way is one trace, through real processes; without tracing nothing is imported."""

import subprocess
import sys

import pytest
from otlp_collector import Collector
from roles import running_roles

from bridge import TracingSettings

TRACE_ID, SPAN_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OURS = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01"}


@pytest.fixture
async def collector(monkeypatch):
    collector = Collector()
    async with collector.server:
        url = str(collector.server.make_url("")).rstrip("/")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
        yield collector


@pytest.fixture
async def roles(collector, settings, tmp_path):
    assert collector.spans == []
    traced = settings.model_copy(update={"tracing": TracingSettings(enabled=True)})
    async with running_roles(traced, tmp_path) as running:
        yield running


async def test_a_trace_shows_an_events_way_from_its_publisher_to_gateway_and_sink(
    roles, collector, new_session, eventually
):
    http = await new_session(roles["gateway"].url)
    given = {"assistant_id": "echo", "input": {"events": 4, "delay_s": 0.1}}
    async with http.post("/runs/stream", json=given) as stream:
        await stream.read()

    def of_last_event():
        ways = {}
        for span in collector.spans:
            ways.setdefault(span.trace_id, {})[span.name] = span
        whole = [way for way in ways.values() if way.keys() == WAY.keys()]
        return whole[-1] if whole else None

    way = await eventually(of_last_event, within_s=20)
    assert {name: span.service for name, span in way.items()} == WAY
    publish = way.pop("publish")
    assert publish.parent_id == ""
    assert {span.parent_id for span in way.values()} == {publish.span_id}
    assert len({span.facts["jetrun.event_id"] for span in way.values()}) == 1
    assert publish.began <= way["log"].began <= way["log"].ended
    assert way["deliver"].facts["jetrun.readers"] == 1


WAY = {
    "publish": "jetrun-worker",
    "log": "jetrun-worker",
    "deliver": "jetrun-gateway",
    "consume sink": "jetrun-sink",
}


async def test_an_event_that_a_service_publishes_belongs_to_the_services_own_trace(
    roles, collector, new_session, eventually
):
    http = await new_session(roles["gateway"].url)
    async with http.post("/threads", json={}) as answer:
        thread_id = (await answer.json())["thread_id"]
    runs = f"/threads/{thread_id}/runs"
    later = {"assistant_id": "echo", "after_seconds": 3600}
    async with http.post(runs, json=later) as answer:
        run_id = (await answer.json())["run_id"]
    event = {"event": "note", "data": "confidential"}
    async with http.post(f"{runs}/{run_id}/events", json=event, headers=OURS) as answer:
        assert answer.status == 201, await answer.text()

    def ours():
        found = [span for span in collector.spans if span.trace_id == TRACE_ID]
        return found if "consume sink" in {span.name for span in found} else None

    spans = await eventually(ours, within_s=20)
    (request,) = [span for span in spans if span.parent_id == SPAN_ID]
    assert request.name == "POST /threads/{thread_id}/runs/{run_id}/events"
    assert request.facts["http.response.status_code"] == 201
    assert "confidential" not in str(collector.spans)


@pytest.mark.parametrize("module", ["api.gateway", "runs.worker", "store.sink"])
def test_without_tracing_no_process_imports_it(module):
    code = (
        f"import {module}, sys; sys.exit(any(n.startswith('opentelemetry') for n in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
