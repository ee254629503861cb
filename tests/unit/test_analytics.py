"""SQL over the archive's files: every sound record is a row, and nothing else is."""

import json
import subprocess
import sys

import pytest
from archived_run import RUN, compress, lines_of, make_event, make_events
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge import RunRef, encode_json
from store import Analytics, ArchiveLayout, EmptyArchiveError, QueryError

OTHER = RunRef("thread-2", "run-2")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["\u2028", "\u0085", "\n", '"', "\\", "\x00", "'"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**80), 2**80) | st.floats(allow_nan=False,
    allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@pytest.fixture(params=["plain", "compressed"])
def write(tmp_path, request):
    """Make a run's file in either form: ``write(lines)``."""

    def write(content, run=RUN):
        layout = ArchiveLayout(tmp_path)
        path = layout.run(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if request.param == "compressed":
            compress(layout, run)

    return write


@pytest.mark.parametrize("write", ["plain"], indirect=True)
def test_a_file_that_a_crash_left_in_both_forms_is_read_once(tmp_path, write):
    write(lines_of(make_events(1, 5)))
    plain = ArchiveLayout(tmp_path).run(RUN)
    kept = plain.read_bytes()
    compress(ArchiveLayout(tmp_path))
    plain.write_bytes(kept)
    assert ask(tmp_path, "SELECT count(*) FROM records")[1] == [(5,)]


def ask(root, sql, **options):
    with Analytics(root, **options) as analytics:
        names, rows = analytics.query(sql)
        return names, [tuple(row) for row in rows]


def test_every_record_of_every_run_is_a_row(tmp_path, write):
    write(lines_of(make_events(1, 9)))
    write(lines_of(make_event(n, run=OTHER, category="trace") for n in range(1, 4)), OTHER)
    names, rows = ask(
        tmp_path,
        "SELECT thread_id, category, count(*) AS n, max(seq) AS seq, sum((content->>'n')::INT) "
        "AS total, min(created_at)::VARCHAR AS first FROM records GROUP BY ALL ORDER BY 1",
    )
    assert names == ["thread_id", "category", "n", "seq", "total", "first"]
    assert rows == [
        ("thread-1", "message", 9, 90, 45, "2030-01-02 03:04:05.678901"),
        ("thread-2", "trace", 3, 30, 6, "2030-01-02 03:04:05.678901"),
    ]
    _, rows = ask(tmp_path, "SELECT count(*) FROM records", thread_id="thread-2")
    assert rows == [(3,)]


def test_torn_and_damaged_lines_and_markers_are_no_rows(tmp_path, write):
    lines = lines_of(make_events(1, 5))
    write(lines + b"\x00\x01 damage\n" + lines_of([make_event(6)]) + lines[:70])
    write(lines_of([make_event(9, run=OTHER, event="deleted")]), OTHER)
    _, rows = ask(tmp_path, "SELECT run_seq FROM records ORDER BY 1")
    assert rows == [(n,) for n in range(1, 7)]


@given(contents=st.lists(JSON, min_size=1, max_size=6))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_value_is_read_as_it_was_published(tmp_path, write, contents):
    events = [make_event(n, payload=encode_json(each)) for n, each in enumerate(contents, start=1)]
    write(lines_of(events))
    _, rows = ask(tmp_path, "SELECT content::VARCHAR FROM records ORDER BY run_seq")
    found = [None if text is None else json.loads(text) for (text,) in rows]
    assert found == contents


def test_an_event_of_the_largest_size_is_read(tmp_path, write):
    write(lines_of([make_event(1, payload=encode_json("x" * (8 << 20)))]))
    assert ask(tmp_path, "SELECT length(content::VARCHAR) FROM records")[1] == [((8 << 20) + 2,)]


def renamed(target):
    """A name that needs no quoting."""
    return target.rename(target.with_name("out.parquet"))


def test_an_export_holds_the_same_rows(tmp_path, write):
    write(lines_of(make_events(1, 3000)))
    target = tmp_path / "it's.parquet"
    with Analytics(tmp_path) as analytics:
        assert analytics.export_parquet(target) == 3000
        _, rows = analytics.query(f"FROM '{renamed(target)}' ORDER BY run_seq")
        exported = [tuple(row) for row in rows]
    assert exported == ask(tmp_path, "SELECT * FROM records ORDER BY run_seq")[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.parquet", "threads"]


def test_what_cannot_be_asked_is_said(tmp_path, write):
    with pytest.raises(EmptyArchiveError):
        Analytics(tmp_path)
    write(lines_of(make_events(1, 3)))
    with pytest.raises(QueryError, match="nothing"):
        ask(tmp_path, "SELECT nothing FROM records")
    with Analytics(tmp_path) as analytics, pytest.raises(QueryError):
        analytics.export_parquet(tmp_path / "absent" / "out.parquet")


def test_without_duckdb_the_error_says_what_to_install(tmp_path):
    asking = (
        "import sys; sys.modules['duckdb'] = None\n"
        "from pathlib import Path; from store import Analytics, AnalyticsMissingError\n"
        "try:\n    Analytics(Path(sys.argv[1]))\nexcept AnalyticsMissingError as error:\n"
        "    print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", asking, tmp_path], capture_output=True, text=True, check=True
    )
    assert "jetrun[analytics]" in done.stdout
