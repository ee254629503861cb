import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import InvalidIdError
from bridge.subjects import RunRef, Subjects

IDS = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
RUNS = st.builds(RunRef, IDS, IDS)


def test_the_subjects_of_a_run_are_fixed_forever():
    run = RunRef("thread-1", "run-1")
    subjects = Subjects()
    assert subjects.event(run) == "jetrun.events.39.thread-1.run-1"
    assert subjects.live(run) == "jetrun.live.39.thread-1.run-1"
    assert subjects.thread_events("thread-1") == "jetrun.events.39.thread-1.*"
    assert subjects.state("run", "run-1") == "jetrun.state.23.run.run-1"
    assert subjects.states("run") == "jetrun.state.*.run.*"
    assert subjects.job("echo", "run-1") == "jetrun.job.echo.run-1"
    assert subjects.jobs("echo") == "jetrun.job.echo.*"
    assert subjects.control("run-1") == "jetrun.control.run-1"


def test_stream_names_follow_the_prefix():
    assert Subjects().events_stream == "JETRUN_EVENTS"
    subjects = Subjects("my-app")
    assert subjects.events_stream == "MY_APP_EVENTS"
    assert subjects.state_stream == "MY_APP_STATE"
    assert subjects.jobs_stream == "MY_APP_JOBS"
    assert subjects.event(RunRef("t", "r")).startswith("my-app.events.")


@given(RUNS)
def test_a_run_is_read_back_out_of_its_subjects(run):
    subjects = Subjects()
    assert subjects.run_of(subjects.event(run)) == run
    assert subjects.run_of(subjects.live(run)) == run


@given(RUNS, RUNS)
def test_two_runs_share_no_subject(one, other):
    subjects = Subjects()
    assert (subjects.event(one) == subjects.event(other)) == (one == other)


@given(RUNS)
def test_the_streams_filter_covers_every_run(run):
    subjects = Subjects()
    assert subjects.event(run).startswith(subjects.all_events.removesuffix(">"))
    assert len(subjects.event(run).split(".")) == 5


@pytest.mark.parametrize("bad", ["a.b", "*", ">", "", "a\n", None])
def test_a_reference_holds_checked_ids_only(bad):
    with pytest.raises(InvalidIdError):
        RunRef.checked(bad, "run-1")
    with pytest.raises(InvalidIdError):
        RunRef.checked("thread-1", bad)
