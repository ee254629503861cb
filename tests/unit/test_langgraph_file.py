"""Every field of langgraph.json is honoured, refused by name, or warned about."""

import json
import os
import subprocess
import sys

import pytest

from api.config_file import config_warnings
from api.settings import Settings, load_settings
from api.startup_errors import ConfigFileError, InvalidSettingsError


@pytest.fixture
def load(tmp_path):
    def load_(**content):
        path = tmp_path / "langgraph.json"
        path.write_text(json.dumps(content))
        return load_settings({"config": path})

    return load_


def test_graphs_run_as_graphs_and_go_on_after_a_crash(load, tmp_path):
    graphs = {"a": "./agent.py:graph", "b": {"path": "pkg.mod:make", "description": "two"}}
    declared = load(graphs=graphs).assistants
    assert declared["a"].function == f"{tmp_path}/agent.py:graph"
    assert (declared["b"].function, declared["b"].description) == ("pkg.mod:make", "two")
    assert {each.kind for each in declared.values()} == {"graph"}


def test_local_dependencies_are_directories_to_import_from(load, tmp_path):
    (tmp_path / "lib").mkdir()
    settings = load(graphs={}, dependencies=["./lib", ".", "some-package>=1"])
    assert [str(each) for each in settings.graphs.dependencies] == [
        str(tmp_path / "lib"),
        str(tmp_path),
    ]
    assert load(graphs={}).graphs.dependencies == (tmp_path,)


@pytest.mark.parametrize("form", ["table", "file"])
def test_variables_come_from_a_table_or_a_file_and_are_masked(load, tmp_path, form):
    (tmp_path / ".env").write_text("KEY=hidden1 # not this\nexport OTHER='a b'\n")
    table = {"KEY": "hidden1", "OTHER": "a b"}
    settings = load(graphs={}, env=table if form == "table" else ".env")
    assert {name: value.get_secret_value() for name, value in settings.graphs.env.items()} == table
    assert "hidden1" not in settings.model_dump_json()


def test_a_checkpointer_of_ones_own_is_taken_with_its_serializer(load, tmp_path):
    serde = {
        "allowed_json_modules": [["pkg", "Type"]],
        "allowed_msgpack_modules": True,
        "pickle_fallback": True,
    }
    graphs = load(graphs={}, checkpointer={"path": "./saver.py:make", "serde": serde}).graphs
    assert graphs.checkpointer == f"{tmp_path}/saver.py:make"
    assert graphs.allowed_json_modules == (("pkg", "Type"),)
    assert (graphs.allowed_msgpack_modules, graphs.pickle_fallback) == (True, True)


def test_items_of_the_store_can_have_a_time_to_live(load):
    ttl = {"default_ttl": 60, "refresh_on_read": False, "sweep_interval_minutes": 5}
    graphs = load(graphs={}, store={"ttl": ttl}).graphs
    assert (graphs.store_ttl_s, graphs.store_ttl_refreshes) == (3600, False)


def test_threads_can_have_a_time_to_live(load):
    ttl = {"default_ttl": 60, "strategy": "keep_latest", "sweep_interval_minutes": 5}
    expiry = load(graphs={}, checkpointer={"ttl": {**ttl, "sweep_limit": 7}}).expiry
    assert (expiry.idle_thread_ttl_s, expiry.idle_thread_strategy) == (3600, "keep_latest")
    assert (expiry.interval_s, expiry.max_per_step) == (300, 7)
    assert load(graphs={}, checkpointer={"ttl": {"default_ttl": None}}).expiry == Settings().expiry


def test_webhooks_are_bounded_and_carry_headers(load, monkeypatch):
    monkeypatch.setenv("LG_WEBHOOK_TOKEN", "hidden1")
    url = {
        "require_https": True,
        "allowed_domains": ["*.example.org"],
        "allowed_ports": [443, 8443],
        "max_url_length": 100,
        "disable_loopback": True,
    }
    headers = {
        "Authorization": "Bearer ${{ env.LG_WEBHOOK_TOKEN }}",
        "X-From": "${{env.LG_WEBHOOK_B}}!",
    }
    settings = load(graphs={}, env={"LG_WEBHOOK_B": "b"}, webhooks={"url": url, "headers": headers})
    webhooks = settings.webhooks
    assert webhooks.rules == (True, ("*.example.org",), (443, 8443), 100)
    shown = {name: each.get_secret_value() for name, each in webhooks.headers.items()}
    assert shown == {"Authorization": "Bearer hidden1", "X-From": "b!"}
    assert "hidden1" not in settings.model_dump_json()


def test_what_pages_of_other_origins_may_do_is_shaped(load):
    cors = {
        "allow_origins": ["https://a.example"],
        "allow_origin_regex": r"https://.*\.b\.example",
        "allow_methods": ["GET", "POST"],
        "allow_headers": ["x-api-key"],
        "expose_headers": ["X-More"],
        "allow_credentials": True,
        "max_age": 60,
    }
    http = load(graphs={}, http={"cors": cors}).http
    assert http.cors_origins == ("https://a.example",)
    assert http.cors_origin_pattern == r"https://.*\.b\.example"
    assert (http.cors_methods, http.cors_headers) == (("GET", "POST"), ("x-api-key",))
    assert http.cors_exposed_headers == ("X-More",)
    assert (http.cors_credentials, http.cors_max_age_s) == (True, 60)


def test_the_http_side_is_shaped(load):
    http = load(
        graphs={},
        http={
            "cors": {"allow_origins": ["https://a.example"], "allow_methods": ["*"]},
            "mount_prefix": "/api/langgraph",
            "configurable_headers": {"includes": ["x-user-*"], "excludes": ["x-user-secret"]},
            "disable_assistants": True,
            "disable_mcp": True,
            "disable_runs": False,
        },
    ).http
    assert http.cors_origins == ("https://a.example",)
    assert http.mount_prefix == "/api/langgraph"
    assert (http.header_includes, http.header_excludes) == (("x-user-*",), ("x-user-secret",))
    assert http.disabled == ("assistants",)


def test_what_an_image_is_built_from_is_passed_over(load):
    image = {"dockerfile_lines": ["RUN x"], "pip_config_file": "p", "node_version": "20"}
    assert load(graphs={}, **image).assistants == {}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"auth": {"path": "a.py:auth"}}, "auth"),
        ({"encryption": {"path": "a.py:e"}}, "encryption"),
        ({"priority": {}}, "priority"),
        ({"webhooks": {"url": {"allowed_hosts": []}}}, "webhooks.url.allowed_hosts"),
        ({"webhooks": {"url": {"disable_loopback": False}}}, "disable_loopback"),
        ({"webhooks": {"retries": 3}}, "webhooks.retries"),
        ({"http": {"configurable_headers": ["x-a"]}}, "configurable_headers must be an object"),
        ({"http": {"configurable_headers": {"include": []}}}, "http.configurable_headers.include"),
        ({"webhooks": {"headers": {"A": 1}}}, "webhooks.headers.A must be a string"),
        ({"webhooks": {"headers": {"A": "${{ env.HOME }}"}}}, "must begin with LG_WEBHOOK_"),
        ({"webhooks": {"headers": {"A": "${{ env.LG_WEBHOOK_NO }}"}}}, "LG_WEBHOOK_NO is not set"),
        ({"http": {"app": "a.py:app"}}, "http.app"),
        ({"http": {"logging_headers": {}}}, "http.logging_headers"),
        ({"http": {"disable_everything": True}}, "http.disable_everything"),
        ({"http": {"cors": {"allow_private_network": True}}}, "http.cors.allow_private_network"),
        ({"store": {"index": {"embed": "a"}}}, "store.index"),
        ({"store": {"ttl": {"default_ttl": "long"}}}, "store.ttl.default_ttl"),
        ({"checkpointer": {"ttl": {"default_ttl": "long"}}}, "checkpointer.ttl.default_ttl"),
        ({"checkpointer": {"ttl": {"refresh_on_read": True}}}, "checkpointer.ttl.refresh_on_read"),
        ({"checkpointer": {"backend": "mongo"}}, "checkpointer.backend"),
        ({"graphs": {"a": "./src/agent.ts:graph"}}, "JavaScript"),
        ({"dependencies": ["./nowhere"]}, "nowhere is no directory"),
        ({"env": ".nothing"}, "nothing is no file"),
        ({"env": {"A": 1}}, "env must"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(load, content, named):
    with pytest.raises(ConfigFileError, match=named):
        load(**{"graphs": {}, **content})


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ({"http": {"mount_prefix": "no slash"}}, "mount_prefix"),
        ({"http": {"cors": {"allow_origins": ["*"], "allow_credentials": True}}}, "credentials"),
        ({"http": {"cors": {"allow_origin_regex": "("}}}, "cors_origin_pattern"),
        ({"http": {"cors": {"allow_headers": ["a b"]}}}, "cors_headers"),
        ({"checkpointer": {"ttl": {"strategy": "archive"}}}, "idle_thread_strategy"),
        ({"webhooks": {"headers": {"Content-Type": "text/plain"}}}, "Content-Type"),
        ({"webhooks": {"headers": {"A": "b\nc"}}}, "printable"),
        ({"webhooks": {"url": {"allowed_ports": [0]}}}, "allowed_ports"),
    ],
)
def test_what_no_setting_can_be_is_refused(load, content, named):
    with pytest.raises(InvalidSettingsError, match=named):
        load(**{"graphs": {}, **content})


def test_a_file_that_works_may_still_be_worth_a_warning(tmp_path):
    path = tmp_path / "langgraph.json"
    content = {"graphs": {"a": "./a.py:g"}, "python_version": "3.1", "ui": {"a": "./ui.tsx"}}
    path.write_text(json.dumps(content))
    version, ui = config_warnings(path)
    assert "python_version is 3.1" in version
    assert "ui is passed over" in ui
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    path.write_text(json.dumps({"graphs": {"a": "./a.py:g"}, "python_version": here}))
    assert config_warnings(path) == []


def test_without_langgraph_a_worker_says_what_to_install_and_runs_the_rest():
    code = (
        "import sys\n"
        "sys.modules['langgraph'] = None\n"
        "from runs import AssistantCatalog, AssistantSettings, GraphSettings\n"
        "from runs.executors import Executors\n"
        "graph = AssistantSettings(function='a.py:graph', kind='graph')\n"
        "found = Executors(AssistantCatalog({'mine': graph}), GraphSettings()).failures\n"
        "print(found)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
        check=True,
    )
    assert 'pip install "jetrun[langgraph]"' in done.stdout
    assert "'mine'" in done.stdout
    assert "echo" not in done.stdout


def test_a_process_without_graphs_imports_no_langgraph():
    code = (
        "import sys\n"
        "import runs.process, api.gateway\n"
        "print([name for name in sys.modules if name.startswith(('langgraph', 'langchain'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        env=dict(os.environ),
        check=True,
    )
    assert done.stdout.strip() == "[]"
