import json
import os

import pytest
from pydantic import SecretStr

from api.environment import child_environment, to_environment
from api.settings import Role, Settings, load_settings, shown_settings
from api.startup_errors import ConfigFileError, InvalidSettingsError
from bridge.errors import UnknownSettingError

SECRET = "correct-horse-battery-staple"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch):
    for name in os.environ:
        if name.startswith("JETRUN_"):
            monkeypatch.delenv(name)


@pytest.fixture
def write(tmp_path):
    def write(name, content):
        path = tmp_path / name
        path.write_text(content)
        return path

    return write


def test_a_flag_comes_before_the_environment_before_the_file_before_the_default(write, monkeypatch):
    config = write("jetrun.toml", "[http]\nport = 1\nheartbeat_s = 1.0\nmax_streams = 1\n")
    monkeypatch.setenv("JETRUN_HTTP__PORT", "2")
    monkeypatch.setenv("JETRUN_HTTP__HEARTBEAT_S", "2")

    http = load_settings({"config": config, "http": {"port": 3}}).http

    assert (http.port, http.heartbeat_s, http.max_streams) == (3, 2.0, 1)
    assert http.host == "127.0.0.1"


def test_the_environment_can_name_the_file(write, monkeypatch):
    monkeypatch.setenv("JETRUN_CONFIG", str(write("jetrun.toml", 'roles = ["sink"]')))

    assert load_settings().roles == (Role.SINK,)


@pytest.mark.parametrize("text", ["worker,sink", " worker , sink ", '["worker", "sink"]'])
def test_roles_are_a_list_with_commas(monkeypatch, text):
    monkeypatch.setenv("JETRUN_ROLES", text)

    assert load_settings().roles == (Role.WORKER, Role.SINK)


def test_an_unknown_role_is_refused_with_the_known_ones():
    with pytest.raises(
        InvalidSettingsError, match=r"option for roles.*'gateway\', 'worker' or 'sink'"
    ):
        load_settings({"roles": "gatway"})


@pytest.mark.parametrize(
    "name", ["JETRUN_HTPP__PORT", "JETRUN_HTTP_PORT", "JETRUN_DATA__DIR", "jetrun_nonsense"]
)
def test_a_mistyped_section_in_the_environment_is_an_error(monkeypatch, name):
    monkeypatch.setenv(name, "1")

    with pytest.raises(UnknownSettingError, match=name):
        load_settings()


def test_a_mistyped_field_in_the_environment_is_an_error_that_names_variable_and_field(monkeypatch):
    monkeypatch.setenv("JETRUN_HTTP__PROT", "2025")

    with pytest.raises(InvalidSettingsError) as caught:
        load_settings()

    assert str(caught.value) == "JETRUN_HTTP__PROT: unknown setting; did you mean port?"


@pytest.mark.parametrize(
    ("content", "key"),
    [("[http]\nprot = 1", "http.prot"), ("[htpp]\nport = 1", "htpp"), ("rolse = []", "rolse")],
)
def test_a_mistyped_key_in_the_file_is_an_error_that_names_file_and_key(write, content, key):
    config = write("jetrun.toml", content)

    with pytest.raises(InvalidSettingsError, match=f"{config}: {key}: unknown setting; did you"):
        load_settings({"config": config})


def test_a_wrong_value_is_explained_without_being_shown(write):
    config = write("jetrun.toml", f'[http]\nport = "{SECRET}"')

    with pytest.raises(
        InvalidSettingsError, match=r"http\.port: Input should be a valid"
    ) as caught:
        load_settings({"config": config})

    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("jetrun.toml", "http = [", "is not TOML"),
        ("langgraph.json", "{", "is not JSON"),
        ("langgraph.json", "[]", "must hold one JSON object"),
        ("langgraph.json", '{"auth": {}}', "key 'auth' is not supported"),
        ("langgraph.json", '{"graphs": {"a": 1}}', "graphs.a must be"),
        ("langgraph.json", '{"graphs": []}', "graphs must be"),
        ("jetrun.yaml", "", "must be a jetrun.toml or a langgraph.json"),
    ],
)
def test_a_file_that_cannot_be_used_is_named_with_its_problem(write, name, content, problem):
    config = write(name, content)

    with pytest.raises(ConfigFileError, match=problem) as caught:
        load_settings({"config": config})

    assert str(config) in str(caught.value)


def test_an_absent_file_is_an_error(tmp_path):
    with pytest.raises(ConfigFileError, match="cannot be read"):
        load_settings({"config": tmp_path / "jetrun.toml"})


def test_a_file_of_the_platform_gives_its_graphs_relative_to_itself(write, tmp_path):
    content = {
        "dependencies": ["."],
        "graphs": {
            "agent": "./agent.py:graph",
            "other": {"path": "package.module:graph", "description": "the other one"},
        },
    }

    assistants = load_settings({"config": write("langgraph.json", json.dumps(content))}).assistants

    assert assistants["agent"].function == f"{tmp_path}/agent.py:graph"
    assert assistants["other"].function == "package.module:graph"
    assert assistants["other"].description == "the other one"


def test_settings_survive_the_way_through_the_environment(monkeypatch, write):
    config = write("jetrun.toml", '[assistants.Mixed-Case]\nfunction = "./a.py:f"')
    flags = {
        "config": config,
        "data": "somewhere",
        "roles": "worker,sink",
        "http": {"port": 0, "allow_unauthenticated": True},
        "nats": {"url": "nats://127.0.0.1:1", "user": "u", "password": SECRET},
        "log": {"max_bytes": 1 << 30},
    }
    settings = load_settings(flags)

    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    again = load_settings()

    absolute = {"data": settings.data.absolute(), "config": None}
    assert again == settings.model_copy(update=absolute)
    assert again.nats.password == SecretStr(SECRET)


def test_defaults_survive_the_way_through_the_environment(monkeypatch):
    for name, value in to_environment(Settings()).items():
        monkeypatch.setenv(name, value)

    assert load_settings() == Settings(data=Settings().data.absolute())


def test_a_child_inherits_everything_but_the_settings_of_its_parent(monkeypatch):
    monkeypatch.setenv("JETRUN_NATS__TOKEN", "of the parent")
    monkeypatch.setenv("UNRELATED", "kept")

    environment = child_environment(Settings(nats={"url": "nats://127.0.0.1:1", "token": None}))

    assert environment["UNRELATED"] == "kept"
    assert "JETRUN_NATS__TOKEN" not in environment


def test_shown_settings_hold_every_value_and_no_credentials(monkeypatch):
    monkeypatch.setenv("JETRUN_NATS__PASSWORD", SECRET)
    urls = {
        "url": f"nats://u:{SECRET}@h:1,nats://:{SECRET}@i:2",
        "monitor_url": f'https://u:"{SECRET}@h:3',
    }
    settings = load_settings({"nats": urls})

    shown = shown_settings(settings)

    assert SECRET not in shown
    assert json.loads(shown)["nats"]["url"] == "nats://**********@h:1,nats://**********@i:2"
    assert json.loads(shown)["nats"]["monitor_url"] == "https://**********@h:3"
    assert json.loads(shown)["http"]["port"] == 2024
