"""docker-compose.yml says what there is: commands, options, variables, files, volumes, services."""

import asyncio
import re
import subprocess

import pytest
from composition import ROOT, Composition
from machine import program
from typer.main import get_command

from api.cli.program import APP
from api.environment import to_environment
from api.settings import Settings
from bridge import NatsUser, check_environment
from bridge.server.binary import find_server_binary
from bridge.server.config import EmbeddedServerSettings, nats_conf_variables
from bridge.server.users import ServerPasswords

COMMANDS = get_command(APP).commands
PAGE = ROOT / "docs/deploy.md"
USERS = {
    **dict.fromkeys(("gateway-1", "gateway-2"), NatsUser.GATEWAY),
    "worker": NatsUser.WORKER,
    "sink": NatsUser.SINK,
    "streams": "operator",
}


@pytest.fixture
def services():
    filled = {name: f"of-{name.lower()}" for name in Composition.wanted()}
    return Composition(filled).services


@pytest.fixture
def ours(services):
    return {name: each for name, each in services.items() if each.image.startswith("jetrun:")}


def test_every_part_is_there_in_the_wanted_number(services):
    counted = {name: each.deploy.replicas for name, each in services.items()}
    assert counted == {
        **dict.fromkeys(("nats-1", "nats-2", "nats-3", "gateway-1", "gateway-2"), 1),
        **dict.fromkeys(("streams", "proxy", "prometheus"), 1),
        **dict.fromkeys(("worker", "sink"), 2),
    }


def test_every_command_and_option_of_ours_exists(ours):
    assert set(ours) == set(USERS)
    for name, service in ours.items():
        command, *options = service.arguments
        known = {option for each in COMMANDS[command].params for option in each.opts}
        given = {option for option in options if option.startswith("--")}
        assert given <= known, name


def test_every_variable_of_ours_is_a_setting_that_takes_its_value(ours, monkeypatch):
    for name, service in ours.items():
        check_environment(service.environment)
        with monkeypatch.context() as patch:
            for variable, value in service.environment.items():
                patch.setenv(variable, value)
            settings = Settings()
        assert service.environment.items() <= to_environment(settings).items(), name
        assert settings.log.replicas == 3


def test_each_role_comes_to_nats_as_its_own_user(ours):
    for name, user in USERS.items():
        environment = ours[name].environment
        variable = "NATS_PASSWORD" if user == "operator" else f"NATS_{user.upper()}_PASSWORD"
        assert environment["JETRUN_NATS__USER"] == user
        assert environment["JETRUN_NATS__PASSWORD"] == f"of-{variable.lower()}"


def test_what_is_ours_runs_without_rights_and_ends_in_order(ours):
    for service in ours.values():
        assert service.cap_drop == ["ALL"]
        assert service.security_opt == ["no-new-privileges:true"]
        assert service.init
    settings = Settings()
    assert ours["gateway-1"].stop_grace_s > settings.http.shutdown_s
    worker = settings.worker
    assert ours["worker"].stop_grace_s > worker.drain_s + worker.cancel_grace_s
    text = (ROOT / "Dockerfile").read_text()
    assert re.search(r"^USER jetrun$", text, re.MULTILINE)


def test_everything_is_watched_and_comes_back(services):
    for name, service in services.items():
        assert service.restart == ("on-failure" if name == "streams" else "unless-stopped")
    watched = {name for name, each in services.items() if each.healthcheck is not None}
    assert watched == services.keys() - {"gateway-1", "gateway-2", "prometheus"}
    # The gateways' own is the image's.
    assert "HEALTHCHECK" in (ROOT / "Dockerfile").read_text()


def test_every_file_volume_and_service_that_is_named_exists(services):
    volumes = Composition(dict.fromkeys(Composition.wanted(), "x")).volumes
    mounted = [volume.split(":")[0] for each in services.values() for volume in each.volumes]
    assert {name for name in mounted if not name.startswith("./")} == volumes
    assert all((ROOT / name).exists() for name in mounted if name.startswith("./"))
    for service in services.values():
        assert set(service.depends_on) <= services.keys()


def test_only_the_loopback_address_of_the_host_is_published(services):
    ports = [port for each in services.values() for port in each.ports]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


async def test_the_nodes_get_exactly_what_nats_conf_needs(services, tmp_path):
    wanted = nats_conf_variables(EmbeddedServerSettings(), tmp_path, ServerPasswords.make())
    for name in ("nats-1", "nats-2", "nats-3"):
        service = services[name]
        assert set(service.environment) == set(wanted)
        arguments = [
            str(ROOT / "nats.conf") if each == "/etc/nats/nats.conf" else each
            for each in service.arguments
        ]
        checked = await asyncio.to_thread(
            subprocess.run,
            [await find_server_binary(), *arguments, "-t"],
            env=service.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr


async def test_the_proxy_accepts_its_configuration(services):
    environment = {"PROXY_LISTEN": "127.0.0.1:8080", "GATEWAY_1": "127.0.0.1:1"}
    environment["GATEWAY_2"] = "127.0.0.1:2"
    assert services["proxy"].environment.keys() == environment.keys()
    checked = await asyncio.to_thread(
        subprocess.run,
        [program("haproxy"), "-c", "-f", ROOT / "ops/haproxy/haproxy.cfg"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_prometheus_asks_the_services_where_they_listen(services):
    text = (ROOT / "ops/prometheus/prometheus.yml").read_text()
    for name in ("gateway-1", "gateway-2"):
        assert f"{name}:{Settings().http.port}" in text
    for role in ("worker", "sink"):
        port = services[role].environment[f"JETRUN_METRICS__{role.upper()}_PORT"]
        assert f"names: [{role}], type: A, port: {port}" in text


def blocks(page):
    """The blocks of commands on a page."""
    return re.findall(r"^```\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def run_shell(script, directory):
    done = subprocess.run(["sh", "-euc", script], cwd=directory, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_the_page_makes_exactly_the_variables_that_the_file_wants(tmp_path):
    script = next(each for each in blocks(PAGE) if "openssl rand" in each)
    run_shell(script.partition("docker compose")[0], tmp_path)
    lines = (tmp_path / ".env").read_text().splitlines()
    assert {line.partition("=")[0] for line in lines} == Composition.wanted()
    assert all(len(line.partition("=")[2]) == 48 for line in lines)


def test_the_page_makes_certificates_that_fit_the_nodes(tmp_path):
    script = next(each for each in blocks(PAGE) if "openssl req" in each)
    run_shell(script.partition("docker compose")[0], tmp_path)
    for name in ("nats-1", "nats-2", "nats-3"):
        check = f"openssl verify -CAfile tls/ca.pem -verify_hostname {name} tls/nats.pem"
        run_shell(check, tmp_path)


def test_every_service_and_file_that_the_page_names_exists(services):
    commands = [line for each in blocks(PAGE) for line in each.splitlines() if "docker" in line]
    assert commands
    for command in commands:
        for name in re.findall(r" -f (\S+)", command):
            assert (ROOT / name).is_file()
        for name in re.findall(r"\b(?:nats-\d|gateway-\d|worker|sink|proxy|streams)\b", command):
            assert name in services
