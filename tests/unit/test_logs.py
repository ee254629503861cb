import json
import logging
import sys

import pytest

from bridge import UnavailableError, logging_about
from bridge.process_logs import JsonFormatter, LoggingSettings, TextFormatter, set_up_logging


@pytest.fixture
def log():
    logger = logging.getLogger("test")
    records = []
    handler = logging.Handler()
    handler.emit = records.append
    logger.addHandler(handler)
    logger.setLevel("INFO")
    yield logger, records
    logger.removeHandler(handler)
    logger.setLevel("NOTSET")


@pytest.fixture
def root():
    kept = logging.root.handlers[:], logging.root.level
    yield
    logging.root.handlers[:], logging.root.level = kept


def test_a_record_is_one_line_of_json_with_its_facts(log):
    logger, records = log
    logger.warning("child.died", extra={"child": "worker", "status": -9, "path": object})

    line = JsonFormatter().format(records[0])

    entry = json.loads(line)
    assert "\n" not in line
    assert (entry["event"], entry["level"], entry["logger"]) == ("child.died", "warning", "test")
    assert (entry["child"], entry["status"]) == ("worker", -9)
    assert entry["path"] == repr(object)
    assert entry["time"].endswith("Z")


def test_text_shows_the_same_facts(log):
    logger, records = log
    logger.info("child.started", extra={"child": "sink", "pid": 7})

    assert TextFormatter().format(records[0]).endswith("info    child.started child=sink pid=7")


def test_a_line_has_the_facts_of_the_task_that_logs_it(log):
    logger, records = log
    with logging_about(request_id="r-1", run_id="outer"), logging_about(run_id="inner"):
        logger.info("x.happened", extra={"count": 3})
        entry = json.loads(JsonFormatter().format(records[0]))
        assert "request_id=r-1 run_id=inner count=3" in TextFormatter().format(records[0])
    assert (entry["request_id"], entry["run_id"], entry["count"]) == ("r-1", "inner", 3)
    assert "request_id" not in json.loads(JsonFormatter().format(records[0]))


@pytest.mark.parametrize("formatter", [JsonFormatter(), TextFormatter()])
def test_a_traceback_quotes_our_errors_and_no_foreign_ones(log, formatter):
    logger, records = log
    try:
        try:
            int("what a user " + "sent")
        except ValueError as cause:
            raise UnavailableError("the log") from cause
    except UnavailableError:
        logger.exception("x.failed")
    line = formatter.format(records[0])
    assert "NATS did not answer: the log" in line
    assert "ValueError" in line
    assert "test_logs.py" in line
    assert "what a user sent" not in line


@pytest.mark.parametrize(("is_terminal", "form"), [(True, "text"), (False, "json")])
def test_the_form_follows_the_terminal_unless_it_is_given(monkeypatch, is_terminal, form):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: is_terminal, raising=False)

    assert LoggingSettings().resolved().format == form
    assert LoggingSettings(format="json").resolved().format == "json"


@pytest.mark.usefixtures("root")
def test_the_level_decides_what_is_told(capsys):
    set_up_logging(LoggingSettings(level="warning", format="json"))

    logging.getLogger("a").info("x.hidden")
    logging.getLogger("a").warning("x.shown")

    assert [json.loads(line)["event"] for line in capsys.readouterr().err.splitlines()] == [
        "x.shown"
    ]
