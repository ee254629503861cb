"""Every alert fires when it should, has an entry in the runbook, and means metrics that exist."""

import asyncio
import json
import re
import shutil
import sysconfig
from pathlib import Path

import pytest
import yaml
from aiohttp import ClientError, ClientSession
from roles import running_roles

from api.doctor.report import Cause
from api.settings import Role
from bridge import MetricsSettings
from bridge.server.free_port import pick_free_port

ROOT = Path(__file__).parents[2]
RULES = ROOT / "ops" / "prometheus" / "alerts.yml"
ALERTS = {
    rule["alert"]: rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
}

#: By alert: series as promtool writes them, a value a minute, for as long as it takes.
SITUATIONS = {
    "JetrunProcessDown": {'up{job="jetrun-worker"}': "0x40"},
    "JetrunNatsDisconnected": {"jetrun_nats_connected": "0x40"},
    "JetrunLogSilent": {"jetrun_log_answers": "0x40", "jetrun_nats_connected": "1x40"},
    "JetrunPublishesFail": {'jetrun_publish_failures_total{code="unavailable"}': "0+1x40"},
    "JetrunPublishesSlow": {
        'jetrun_publish_seconds_bucket{le="0.5"}': "0+10x40",
        'jetrun_publish_seconds_bucket{le="1.0"}': "0+100x40",
        'jetrun_publish_seconds_bucket{le="+Inf"}': "0+100x40",
    },
    "JetrunReadersFallBehind": {'jetrun_catch_ups_total{cause="overflow"}': "0+120x40"},
    "JetrunEventsMissed": {'jetrun_gaps_total{reason="evicted"}': "0+1x40"},
    "JetrunRequestsFail": {
        'jetrun_http_requests_total{status="503"}': "0+1x40",
        'jetrun_http_requests_total{status="200"}': "0+9x40",
    },
    "JetrunRequestsRefused": {'jetrun_http_problems_total{code="too-many-runs"}': "0+120x40"},
    "JetrunJobsUnattended": {
        'jetrun_jobs{state="waiting"}': "1x40",
        'jetrun_jobs{state="held"}': "0x40",
    },
    "JetrunJobsPileUp": {'jetrun_jobs{state="waiting"}': "101x40"},
    "JetrunLeasesLost": {'jetrun_worker_lost_leases_total{instance="a"}': "0+1x40"},
    "JetrunRunsLeft": {'jetrun_worker_left_runs_total{instance="a"}': "0+1x40"},
    "JetrunSinkAway": {'jetrun_archive_state{state="away"}': "1x40"},
    "JetrunSinkFailing": {'jetrun_archive_state{state="failing"}': "1x40"},
    "JetrunSinkBehind": {
        "jetrun_archive_lag_seconds": "61x40",
        'jetrun_archive_state{state="archiving"}': "1x40",
    },
    "JetrunLogNearlyFull": {"jetrun_log_bytes": "91x40", "jetrun_log_limit_bytes": "100x40"},
    "JetrunConsumersNearCap": {
        "jetrun_log_consumers": "91x40",
        "jetrun_log_max_consumers": "100x40",
    },
    "JetrunReplicasLost": {"jetrun_log_current_replicas": "2x40", "jetrun_log_replicas": "3x40"},
}
#: What all is well looks like.
QUIET = {
    'up{job="jetrun-worker"}': "1x40",
    "jetrun_nats_connected": "1x40",
    "jetrun_log_answers": "1x40",
    'jetrun_publish_failures_total{code="unavailable"}': "7x40",
    'jetrun_publish_seconds_bucket{le="0.5"}': "0+100x40",
    'jetrun_publish_seconds_bucket{le="+Inf"}': "0+100x40",
    'jetrun_catch_ups_total{cause="overflow"}': "0+1x40",
    'jetrun_gaps_total{reason="evicted"}': "7x40",
    'jetrun_http_requests_total{status="503"}': "0+1x40",
    'jetrun_http_requests_total{status="200"}': "0+99x40",
    'jetrun_http_problems_total{code="too-many-runs"}': "0+1x40",
    'jetrun_jobs{state="waiting"}': "5x40",
    'jetrun_jobs{state="held"}': "32x40",
    'jetrun_worker_lost_leases_total{instance="a"}': "7x40",
    'jetrun_worker_left_runs_total{instance="a"}': "7x40",
    'jetrun_archive_state{state="away"}': "0x40",
    'jetrun_archive_state{state="failing"}': "0x40",
    'jetrun_archive_state{state="archiving"}': "1x40",
    "jetrun_archive_lag_seconds": "2x40",
    "jetrun_log_bytes": "50x40",
    "jetrun_log_limit_bytes": "100x40",
    "jetrun_log_consumers": "5x40",
    "jetrun_log_max_consumers": "100x40",
    "jetrun_log_current_replicas": "3x40",
    "jetrun_log_replicas": "3x40",
}


def program(name):
    """Return one of Prometheus' programs; `make test` puts them into the environment."""
    for place in (sysconfig.get_path("scripts"), None):
        found = shutil.which(name, path=place)
        if found is not None:
            return found
    pytest.fail(f"{name} is absent; run scripts/setup.sh test")


async def run(*command):
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await process.communicate())[0].decode()
    assert process.returncode == 0, said


def situation(series, expression, samples):
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": expression, "eval_time": "40m", "exp_samples": samples}],
    }


def test_there_is_a_situation_for_every_alert():
    assert SITUATIONS.keys() == ALERTS.keys()


async def test_every_alert_fires_in_its_situation_and_none_when_all_is_well(tmp_path):
    one = [{"labels": "{}", "value": 1}]
    tests = [
        situation(series, f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', one)
        for name, series in SITUATIONS.items()
    ]
    tests.append(situation(QUIET, "ALERTS", []))
    facts = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": tests}
    file = tmp_path / "situations.yml"
    file.write_text(yaml.safe_dump(facts))
    await run(program("promtool"), "test", "rules", str(file))


async def test_what_the_repository_configures_is_valid():
    config = ROOT / "ops" / "prometheus" / "prometheus.yml"
    await run(program("promtool"), "check", "config", str(config))


def test_every_alert_and_every_cause_has_an_entry_in_the_runbook():
    page = (ROOT / "docs" / "runbook.md").read_text()
    entries = {
        name for line in re.findall(r"^### (.+)$", page, re.MULTILINE) for name in line.split(", ")
    }
    assert entries == {*ALERTS, *Cause}
    symptoms = {
        re.sub(r"[^\w -]", "", line.lower()).replace(" ", "-")
        for line in re.findall(r"^## (.+)$", page, re.MULTILINE)
    }
    for rule in ALERTS.values():
        assert rule["annotations"]["runbook"].removeprefix("docs/runbook.md#") in symptoms


def test_every_cause_is_in_the_doctors_list():
    page = (ROOT / "docs" / "doctor.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \| (?:error|warning|note)", page, re.MULTILINE)) == set(
        Cause
    )


@pytest.fixture
async def roles(settings, tmp_path, eventually):
    """Gateway, worker and sink, and where each has its metrics."""
    ports = MetricsSettings(worker_port=0, sink_port=0)
    changed = settings.model_copy(update={"metrics": ports})
    async with running_roles(changed, tmp_path) as running:
        urls = [f"{running[Role.GATEWAY].url}/metrics"]
        for role in (running[Role.WORKER], running[Role.SINK]):
            line = await eventually(lambda role=role: role.find("process.metrics"), within_s=20)
            urls.append(line["url"])
        yield urls


async def test_every_metric_that_an_alert_means_exists(roles, eventually):
    meant = {name for rule in ALERTS.values() for name in re.findall(r"jetrun_\w+", rule["expr"])}

    async def told():
        names = set()
        async with ClientSession() as session:
            for url in roles:
                async with session.get(url) as answer:
                    told = await answer.text()
                names |= set(re.findall(r"^(?:# TYPE )?(jetrun_\w+)", told, re.MULTILINE))
        return names

    async def all_are_told():
        missing.clear()
        missing.update(meant - await told())
        return not missing

    missing = set()
    await eventually(all_are_told, within_s=20, what=missing)


@pytest.fixture
async def prometheus(gateway, tmp_path):
    """A Prometheus that scrapes a gateway, with the repository's rules and less patience."""
    rules = re.sub(r"for: \d+m", "for: 0s", RULES.read_text())
    (tmp_path / "alerts.yml").write_text(rules)
    target = gateway.url.removeprefix("http://")
    config = {
        "global": {
            "scrape_interval": "1s",
            "scrape_timeout": "1s",
            "evaluation_interval": "1s",
        },
        "rule_files": ["alerts.yml"],
        "scrape_configs": [
            {"job_name": "jetrun-gateway", "static_configs": [{"targets": [target]}]}
        ],
    }
    (tmp_path / "prometheus.yml").write_text(json.dumps(config))
    address = f"127.0.0.1:{pick_free_port('127.0.0.1')}"
    process = await asyncio.create_subprocess_exec(
        program("prometheus"),
        f"--config.file={tmp_path / 'prometheus.yml'}",
        f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        f"--web.listen-address={address}",
        stderr=asyncio.subprocess.DEVNULL,
    )
    yield f"http://{address}"
    process.terminate()
    await process.wait()


async def test_a_real_prometheus_alerts_when_the_server_of_a_real_gateway_dies(
    prometheus, server, eventually
):
    async def firing():
        try:
            async with ClientSession() as http, http.get(f"{prometheus}/api/v1/alerts") as answer:
                alerts = (await answer.json())["data"]["alerts"]
        except ClientError:
            return None  # it starts
        return {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}

    async def nothing_fires():
        return await firing() == set()

    await eventually(nothing_fires, within_s=20)
    await server.kill()

    async def disconnected():
        return "JetrunNatsDisconnected" in (await firing() or ())

    await eventually(disconnected, within_s=20)
