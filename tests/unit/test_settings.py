import pytest
from pydantic import SecretStr, ValidationError

from bridge.errors import UnknownSettingError
from bridge.memory import MemorySettings
from bridge.settings import SECTIONS, BridgeSettings, LogSettings, NatsSettings, check_environment


@pytest.mark.parametrize("section", [BridgeSettings, LogSettings, MemorySettings, NatsSettings])
def test_a_mistyped_name_is_an_error_and_settings_never_change(section):
    settings = section()
    with pytest.raises(ValidationError, match="max_evnets"):
        section(max_evnets=1)
    with pytest.raises(ValidationError, match="frozen"):
        setattr(settings, next(iter(section.model_fields)), None)


@pytest.mark.parametrize(
    ("section", "name", "bad"),
    [
        (LogSettings, "prefix", ""),
        (LogSettings, "prefix", "a.b"),
        (LogSettings, "prefix", "jetrun\n"),
        (LogSettings, "prefix", "x" * 33),
        (LogSettings, "replicas", 0),
        (LogSettings, "replicas", 6),
        (LogSettings, "profile", "neither"),
        (LogSettings, "request_timeout_s", 0),
        (LogSettings, "request_timeout_s", float("nan")),
        (LogSettings, "request_timeout_s", float("inf")),
        (LogSettings, "max_queued_events", 0),
        (NatsSettings, "connect_timeout_s", -1),
        (MemorySettings, "max_events_per_run", 0),
        (MemorySettings, "max_runs", 0),
        (MemorySettings, "max_bytes_per_run", 0),
    ],
)
def test_a_value_out_of_bounds_is_refused(section, name, bad):
    with pytest.raises(ValidationError, match=name):
        section(**{name: bad})


def test_the_memory_keeps_what_the_design_says():
    settings = MemorySettings()
    assert settings.max_events_per_run == 256
    assert settings.max_bytes_per_run == 10 * 1024 * 1024
    assert settings.max_runs == 1000
    assert 7 << 20 < settings.max_event_bytes < 8 << 20


@pytest.mark.parametrize("way", ["password", "token", "nkey"])
def test_credentials_are_not_shown(way):
    settings = NatsSettings(**{way: SecretStr("s3cret")})
    assert "s3cret" not in f"{settings!r} {settings.model_dump_json()}"


@pytest.mark.parametrize("section", sorted(SECTIONS))
def test_known_sections_may_stand_in_the_environment(section):
    check_environment({f"JETRUN_{section.upper()}": "1", f"jetrun_{section}__field": "1"})


def test_foreign_names_may_stand_in_the_environment():
    check_environment({"PATH": "/bin", "JETRUNNER": "1", "MY_JETRUN_LOGS": "1"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("JETRUN_WROKER__SLOTS", "JETRUN_WORKER"),
        ("JETRUN_NAT__URL", "JETRUN_NATS"),
        ("jetrun_htp__port", "JETRUN_HTTP"),
        ("JETRUN_LOG_PREFIX", ""),
        ("JETRUN_", ""),
        ("JETRUN_ZZZZZZ", ""),
    ],
)
def test_a_name_that_looks_like_a_setting_and_is_none_is_refused(name, hint):
    with pytest.raises(UnknownSettingError) as caught:
        check_environment({"PATH": "/bin", name: "1"})
    assert name in str(caught.value)
    assert hint in str(caught.value)
