"""The gateway's figures are what happened, come from closed sets, and are for operators."""

import pytest
from every_route import NEED_NOT, ROUTES
from prometheus_client.parser import text_string_to_metric_families

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import ALL_SCOPES, Role
from api.auth.settings import AuthSettings
from api.limits.refusals import LIMITS
from api.problems import CODE_OF_STATUS, STATUS_OF_ERROR
from api.request_metrics import UNMATCHED
from bridge import GapReason, LogSettings, new_event
from bridge.metrics.durations import BOUNDS_S
from bridge.metrics.following import Fall


class Figures(dict):
    """Samples by name and labels: ``figures["jetrun_followers", ("of", "run")]``."""

    def __missing__(self, key):
        if isinstance(key, str):
            return self[key,]
        raise KeyError(key)


@pytest.fixture
def figures():
    """Read a gateway's figures."""

    async def read(http, **headers):
        async with http.get("/metrics", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            families = text_string_to_metric_families(await answer.text())
            return Figures(
                ((sample.name, *sorted(sample.labels.items())), sample.value)
                for family in families
                for sample in family.samples
            )

    return read


async def test_streams_and_readers_are_counted_while_they_are_open(http, open_run, wire, figures):
    assert (await figures(http))["jetrun_http_streams"] == 0
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        await frames.next_event()
        during = await figures(http)
        assert during["jetrun_http_streams"] == 1
        assert during["jetrun_followers", ("of", "run")] == 1
        assert during["jetrun_followed_runs"] == 1
        await open_run.end()
        await frames.rest()
    after = await figures(http)
    assert after["jetrun_http_streams"] == after["jetrun_followed_runs"] == 0


async def test_publishes_are_counted_by_event_and_timed_by_flight(http, open_run, figures):
    before = await figures(http)
    await open_run.publish("one", 1)
    await open_run.publish_many([new_event("many", number) for number in range(50)])
    after = await figures(http)
    name = "jetrun_publish_events_total"
    assert after[name] - before[name] == 51
    assert after["jetrun_publish_seconds_count"] - before["jetrun_publish_seconds_count"] == 2
    assert after["jetrun_publish_seconds_sum"] > before["jetrun_publish_seconds_sum"]
    assert after["jetrun_nats_connected"] == 1


async def test_a_reader_that_is_told_of_a_gap_is_counted_by_its_reason(
    gateway, http, open_run, wire, figures
):
    await open_run.publish_many([new_event("step", number) for number in range(20)])
    await gateway.bridge.trim(open_run.run_id, keep=3)
    for cursor in ("2-2", "nonsense"):
        headers = {"Last-Event-ID": cursor}
        async with wire.read(http, f"{open_run.path}/stream", headers=headers) as frames:
            assert (await frames.next_event())["event"] == "gap"
    after = await figures(http)
    assert after["jetrun_gaps_total", ("reason", "evicted")] == 1
    assert after["jetrun_gaps_total", ("reason", "invalid")] == 1


async def test_a_reader_that_is_too_slow_for_the_live_feed_is_counted_as_a_fall(
    start_gateway, new_session, wire, figures, eventually
):
    gateway = await start_gateway(log=LogSettings(max_buffered_events=16))
    http = await new_session(gateway.url)
    run = await wire.create_run(gateway, http)
    async with gateway.bridge.subscribe(run.run_id) as items:
        # It does not read: what comes live goes into its buffer, which is small.
        async def fell():
            await run.publish_many([new_event("step", number) for number in range(40)])
            return (await figures(http))["jetrun_catch_ups_total", ("cause", "overflow")] == 1

        await anext(items)
        await eventually(fell)


@pytest.mark.usefixtures("open_run")
async def test_log_queue_and_archive_are_told_by_every_gateway(http, figures):
    told = await figures(http)
    assert told["jetrun_log_answers"] == 1
    assert told["jetrun_log_runs"] == 1
    assert 0 < told["jetrun_log_bytes"] < told["jetrun_log_limit_bytes"]
    assert told["jetrun_log_replicas"] == told["jetrun_log_current_replicas"] == 1
    assert told["jetrun_jobs", ("state", "waiting")] == 1
    assert told["jetrun_jobs", ("state", "held")] == 0
    assert ("jetrun_archive_lag_events",) not in told  # there never was a sink


async def test_while_the_server_is_away_a_scrape_answers_without_what_it_would_say(
    server, http, figures
):
    await server.kill()
    told = await figures(http)
    assert told["jetrun_log_answers"] == 0
    assert told["jetrun_nats_connected"] == 0
    assert ("jetrun_jobs", ("state", "waiting")) not in told


#: By label: what its values may be.
CLOSED = {
    "route": {UNMATCHED, *ROUTES, *NEED_NOT},
    "status": {str(status) for status in range(200, 600)},
    "code": {error.code for error in STATUS_OF_ERROR} | set(CODE_OF_STATUS.values()),
    "limit": set(LIMITS),
    "le": {"+Inf", *map(str, BOUNDS_S)},
    "of": {"run", "thread"},
    "cause": set(Fall),
    "reason": set(GapReason),
    "state": {"waiting", "held"},
}
ODD_PATHS = ("/runs/unknown/stream", "/threads/../etc", "/threads/%00", "/no/such", "/runs/a%2Fb/c")


async def test_after_odd_requests_every_label_is_of_a_closed_set(http, open_run, figures):
    for method in ("GET", "POST", "DELETE", "OPTIONS", "PROPFIND", "X-MINE"):
        for path in (*ODD_PATHS, open_run.path):
            async with http.request(method, path, data=b"{", headers={"X-Odd": "1"}) as answer:
                await answer.read()
    for assistant in ("echo", "nobody", "a b"):
        async with http.post("/runs", json={"assistant_id": assistant}) as answer:
            await answer.read()
    told = await figures(http)
    labels = {label for _, *pairs in told for label in pairs}
    assert {("route", UNMATCHED), ("code", "route-not-found"), ("status", "404")} <= labels
    assert [(name, value) for name, value in labels if value not in CLOSED[name]] == []
    ids = (open_run.thread_id, open_run.run_id)
    assert not [sample for sample in told if any(each in str(sample) for each in ids)]


async def test_figures_are_for_operators_where_users_are_told_apart(
    start_gateway, new_session, figures
):
    gateway = await start_gateway(auth=AuthSettings(methods=("api-key",)))
    http, keys = await new_session(gateway.url), ApiKeys(gateway.bridge)

    async def key_of(user_id, role):
        facts = {"name": "test", "user_id": user_id, "role": role, "expires_at": None}
        return str(await keys.create(ApiKeyGrant(**facts, scopes=tuple(ALL_SCOPES))))

    async with http.get("/metrics", headers={"x-api-key": await key_of("her", Role.USER)}) as said:
        assert said.status == 403
        assert (await said.json())["code"] == "operators-only"
    operator = await key_of(None, Role.OPERATOR)
    assert (await figures(http, **{"x-api-key": operator}))["jetrun_nats_connected"] == 1
