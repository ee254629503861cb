"""The rules of run control hold for every sequence of commands."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from runs.commands import (
    Admit,
    Amend,
    Ask,
    BecomeDue,
    Delete,
    Finish,
    Forget,
    GiveAnswer,
    Release,
    RequestCancel,
    Start,
)
from runs.effects import (
    ClearTimer,
    CreateLog,
    EnqueueJob,
    Nudge,
    Retire,
    RollBack,
    Seal,
    SetTimer,
)
from runs.errors import (
    IllegalTransitionError,
    NothingToResumeError,
    QueueFullError,
    RunConflictError,
    RunNotFoundError,
    RunNotStartableError,
    ThreadNotFoundError,
)
from runs.models import CancelAction, MultitaskStrategy, Outcome, RunFault, RunRecord, RunStatus
from runs.thread import Answer, Question, ThreadRecord, ThreadStatus
from runs.transitions import outstanding, transition

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
DUE = AT + timedelta(hours=1)
MAX_QUEUED = 3
SUCCESS = Outcome(RunStatus.SUCCESS, outputs="9-9")
FINAL = [
    SUCCESS,
    Outcome(RunStatus.INTERRUPTED),
    Outcome(RunStatus.ERROR, error=RunFault(error="ValueError", message="no")),
    Outcome(RunStatus.TIMEOUT),
]


def new_thread():
    return ThreadRecord(thread_id="t", created_at=AT, updated_at=AT)


def admit(thread, run_id, strategy=MultitaskStrategy.ENQUEUE):
    return transition(thread, Admit(run_id, "echo", strategy, MAX_QUEUED, AT))


def delay(thread, run_id, strategy=MultitaskStrategy.ENQUEUE):
    return transition(thread, Admit(run_id, "echo", strategy, MAX_QUEUED, AT, due=DUE))


def start(thread, run_id, attempt=1, worker="w1"):
    return transition(thread, Start(run_id, worker, attempt, AT))


def cancel(thread, run_id, action=CancelAction.INTERRUPT):
    return transition(thread, RequestCancel(run_id, action, AT))


def finish(thread, run_id, outcome=SUCCESS):
    return transition(thread, Finish(run_id, outcome, AT))


def thread_with(*run_ids):
    thread = new_thread()
    for run_id in run_ids:
        thread, _ = admit(thread, run_id)
    return thread


def test_the_first_run_is_active_and_gets_log_and_job():
    thread, effects = admit(new_thread(), "a")
    assert thread.active.run_id == "a"
    assert effects == (CreateLog("a"), EnqueueJob("a", "echo"))
    assert thread.status is ThreadStatus.BUSY


def test_a_queued_run_gets_its_log_at_once_and_its_job_when_its_turn_comes():
    thread, effects = admit(thread_with("a"), "b")
    assert effects == (CreateLog("b"),)
    thread, effects = finish(thread, "a")
    assert thread.active.run_id == "b"
    assert EnqueueJob("b", "echo") in effects


def test_reject_names_the_active_run_and_changes_nothing():
    with pytest.raises(RunConflictError) as caught:
        admit(thread_with("a"), "b", MultitaskStrategy.REJECT)
    assert caught.value.run_id == "a"


def test_a_delayed_run_makes_the_thread_busy_and_holds_up_nobody():
    thread, effects = delay(new_thread(), "later")
    assert effects == (CreateLog("later"), SetTimer("later", DUE))
    assert (thread.active, thread.status) == (None, ThreadStatus.BUSY)
    thread, effects = admit(thread, "now")
    assert thread.active.run_id == "now"
    assert effects == (CreateLog("now"), EnqueueJob("now", "echo"))
    with pytest.raises(RunNotStartableError):
        start(thread, "later")


def test_a_delayed_run_gets_its_turn_when_its_time_has_come_and_the_thread_is_free():
    free, effects = transition(delay(new_thread(), "later")[0], BecomeDue("later", DUE))
    assert free.active.run_id == "later"
    assert effects == (CreateLog("later"), EnqueueJob("later", "echo"))
    assert transition(free, BecomeDue("later", DUE)) == (free, ())
    busy, effects = transition(delay(thread_with("a", "b"), "later")[0], BecomeDue("later", DUE))
    assert (busy.inflight_ids, busy.delayed, effects) == (("a", "b", "later"), (), ())


def test_a_delayed_run_counts_for_reject_and_for_the_bound_of_those_that_wait():
    thread, _ = delay(new_thread(), "later")
    with pytest.raises(RunConflictError) as caught:
        admit(thread, "b", MultitaskStrategy.REJECT)
    assert caught.value.run_id == "later"
    for n in range(MAX_QUEUED - 1):
        thread, _ = delay(thread, f"d{n}")
    with pytest.raises(QueueFullError):
        delay(thread, "one too many")
    thread, _ = admit(thread, "now")
    with pytest.raises(QueueFullError):
        admit(thread, "behind it")


def test_a_replacing_run_stops_delayed_runs_and_starts_at_once_on_a_free_thread():
    thread, effects = admit(delay(new_thread(), "later")[0], "a", MultitaskStrategy.INTERRUPT)
    assert thread.active.run_id == "a"
    assert effects == (CreateLog("a"), EnqueueJob("a", "echo"), Seal("later"))
    thread, effects = finish(thread, "later", Outcome(RunStatus.INTERRUPTED))
    assert (thread.inflight_ids, effects) == (("a",), (ClearTimer("later"),))


def test_a_cancelled_delayed_run_is_sealed_at_once_and_never_becomes_due():
    thread, effects = cancel(delay(new_thread(), "later")[0], "later")
    assert effects == (Seal("later"),)
    assert transition(thread, BecomeDue("later", DUE)) == (thread, ())
    assert outstanding(thread) == (Seal("later"),)


QUESTION = Question(input_id="q", prompt="sure?")


def asking(*queued):
    thread, _ = start(thread_with("a", *queued), "a")
    return transition(thread, Ask("a", 1, QUESTION, AT))


def answer(thread, value="yes", **who):
    return transition(thread, GiveAnswer("echo", value, AT, **who))


def test_a_run_that_asks_makes_the_thread_interrupted_until_it_is_answered():
    thread, effects = asking()
    assert (thread.status, thread.question, effects) == (ThreadStatus.INTERRUPTED, QUESTION, ())
    thread, effects = answer(thread)
    assert (thread.status, thread.question, effects) == (ThreadStatus.BUSY, None, (Nudge("a"),))
    assert thread.active.answer == Answer(input_id="q", value="yes")
    with pytest.raises(NothingToResumeError):
        answer(thread)


@pytest.mark.parametrize(("value", "given"), [({"q": 1}, 1), ({"other": 1}, {"other": 1})])
def test_an_answer_may_be_a_map_by_question(value, given):
    assert answer(asking()[0], value)[0].active.answer.value == given


def test_only_the_attempt_that_runs_may_ask_and_a_later_one_asks_anew():
    thread, _ = asking()
    with pytest.raises(RunNotStartableError):
        transition(thread, Ask("a", 2, QUESTION, AT))
    thread, _ = start(thread, "a", attempt=2, worker="w2")
    assert thread.question is None


def test_a_withdrawn_question_keeps_an_answer_that_came_in_the_same_moment():
    answered, _ = answer(asking()[0])
    assert transition(answered, Ask("a", 1, None, AT))[0] is answered
    withdrawn, _ = transition(asking()[0], Ask("a", 1, None, AT))
    assert (withdrawn.question, withdrawn.active.answer) == (None, None)


def test_nobody_else_and_no_other_assistant_answers():
    thread, _ = asking()
    with pytest.raises(ThreadNotFoundError):
        answer(thread, user_id="eve")
    with pytest.raises(NothingToResumeError):
        transition(thread, GiveAnswer("other", 1, AT))
    cancelled, _ = cancel(thread, "a")
    with pytest.raises(NothingToResumeError):
        answer(cancelled)


@pytest.mark.parametrize("strategy", MultitaskStrategy)
def test_a_run_that_asks_gives_way_to_whoever_comes(strategy):
    thread, effects = admit(asking()[0], "b", strategy)
    action = CancelAction.ROLLBACK if strategy == "rollback" else CancelAction.INTERRUPT
    assert thread.cancels == {"a": action}
    assert effects == (CreateLog("b"), Nudge("a"))


def test_a_run_that_asks_gives_way_to_those_that_wait_and_to_one_that_becomes_due():
    thread, effects = asking("b")
    assert (thread.cancels, effects) == ({"a": CancelAction.INTERRUPT}, (Nudge("a"),))
    delayed, effects = delay(asking()[0], "later")
    assert (delayed.cancels, delayed.status) == ({}, ThreadStatus.INTERRUPTED)
    thread, effects = transition(delayed, BecomeDue("later", DUE))
    assert (thread.cancels, effects) == ({"a": CancelAction.INTERRUPT}, (Nudge("a"),))


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_a_replacing_run_stops_every_inflight_run_and_waits_behind_them(strategy):
    before, _ = start(thread_with("a", "b", "c"), "a")
    thread, effects = admit(before, "d", MultitaskStrategy(strategy))
    assert thread.cancels == dict.fromkeys("abc", CancelAction(strategy))
    assert effects == (CreateLog("d"), Seal("c"), Seal("b"), Nudge("a"))
    assert thread.inflight_ids == ("a", "b", "c", "d")
    with pytest.raises(RunNotStartableError):
        start(thread, "d")


@pytest.mark.parametrize("strategy", ["interrupt", "rollback"])
def test_a_replacing_run_on_a_free_thread_starts_at_once(strategy):
    thread, effects = admit(new_thread(), "a", MultitaskStrategy(strategy))
    assert thread.active.run_id == "a"
    assert effects == (CreateLog("a"), EnqueueJob("a", "echo"))


def test_a_replacing_run_does_not_change_an_earlier_wish():
    before, _ = cancel(start(thread_with("a"), "a")[0], "a")
    thread, _ = admit(before, "b", MultitaskStrategy.ROLLBACK)
    assert thread.cancels == {"a": CancelAction.INTERRUPT}


def test_replacing_is_possible_while_the_queue_is_full_and_bounded_all_the_same():
    thread = thread_with("a", "b", "c", "d")
    for n in range(2 * MAX_QUEUED + 1 - 3):
        thread, _ = admit(thread, f"n{n}", MultitaskStrategy.INTERRUPT)
    with pytest.raises(QueueFullError):
        admit(thread, "z", MultitaskStrategy.INTERRUPT)


def test_the_queue_is_bounded():
    thread = thread_with("a", "b", "c", "d")
    with pytest.raises(QueueFullError):
        admit(thread, "e")


def test_a_cancelled_pending_run_never_starts():
    thread, effects = cancel(thread_with("a"), "a")
    assert effects == (Seal("a"),)
    with pytest.raises(RunNotStartableError):
        start(thread, "a")


def test_a_cancelled_queued_run_is_sealed_when_its_turn_comes_and_gets_no_job():
    thread, _ = cancel(thread_with("a", "b"), "b")
    thread, effects = finish(thread, "a")
    assert effects == (Seal("b"),)
    with pytest.raises(RunNotStartableError):
        start(thread, "b")


def test_cancelling_an_executed_run_nudges_its_worker():
    thread, _ = start(thread_with("a"), "a")
    _, effects = cancel(thread, "a")
    assert effects == (Nudge("a"),)


def test_a_second_cancel_changes_nothing_and_repeats_the_effect():
    thread, first = cancel(thread_with("a"), "a")
    again, second = cancel(thread, "a")
    assert again is thread
    assert first == second


def test_cancelling_an_unknown_run_is_refused():
    with pytest.raises(RunNotFoundError):
        cancel(thread_with("a"), "z")


def test_a_rolled_back_run_finishes_only_once_its_record_is_removed():
    before, _ = cancel(start(thread_with("a", "b"), "a")[0], "a", CancelAction.ROLLBACK)
    thread, effects = finish(before, "a")
    assert thread is before
    assert effects == (RollBack("a"),)
    thread, effects = transition(before, Finish("a", SUCCESS, AT, is_removed=True))
    assert thread.active.run_id == "b"
    assert EnqueueJob("b", "echo") in effects


@pytest.mark.parametrize("outcome", FINAL)
def test_a_rolled_back_run_leaves_status_and_values_of_the_thread_as_they_were(outcome):
    before, _ = finish(thread_with("a"), "a")
    thread, _ = cancel(admit(before, "b")[0], "b", CancelAction.ROLLBACK)
    thread, _ = transition(thread, Finish("b", outcome, AT, is_removed=True))
    assert (thread.last, thread.outputs) == (before.last, before.outputs)
    assert thread.status is ThreadStatus.IDLE


def test_a_deleted_thread_stops_its_runs_and_lets_nothing_in():
    before, _ = start(thread_with("a", "b"), "a")
    thread, effects = transition(before, Delete(AT))
    assert effects == (Retire(), Seal("b"), Nudge("a"))
    for strategy in MultitaskStrategy:
        with pytest.raises(ThreadNotFoundError):
            admit(thread, "c", strategy)
    with pytest.raises(ThreadNotFoundError):
        transition(thread, Amend({"a": 1}, AT))
    again, _ = transition(thread, Delete(AT))
    assert again is thread
    thread, _ = finish(finish(thread, "b")[0], "a")
    assert Retire() in outstanding(thread)


def test_a_temporary_thread_retires_when_its_run_has_ended():
    thread, _ = admit(new_thread().model_copy(update={"temporary": True}), "a")
    assert Retire() not in outstanding(thread)
    thread, effects = finish(thread, "a")
    assert effects == outstanding(thread) == (Retire(),)


def test_forgetting_a_run_takes_its_values_from_the_thread_and_nobody_elses():
    thread, _ = finish(thread_with("a"), "a", SUCCESS)
    same, _ = transition(thread, Forget("b", AT))
    assert same is thread
    thread, _ = transition(thread, Forget("a", AT))
    assert thread.outputs is None


def test_metadata_is_merged_by_name():
    thread, _ = transition(new_thread(), Amend({"a": 1, "b": {"c": 1}}, AT))
    thread, _ = transition(thread, Amend({"b": {"d": 2}}, AT))
    assert thread.metadata == {"a": 1, "b": {"d": 2}}


def test_only_a_later_attempt_takes_a_started_run_over():
    thread, _ = start(thread_with("a"), "a", 1, "w1")
    with pytest.raises(RunNotStartableError):
        start(thread, "a", 1, "w2")
    taken, _ = start(thread, "a", 2, "w2")
    assert (taken.active.worker, taken.active.attempt) == ("w2", 2)


def test_a_released_run_is_offered_again_and_its_handing_back_is_no_loss():
    thread, _ = start(thread_with("a"), "a", 1, "w1")
    stale, _ = transition(thread, Release("a", 2, AT))
    assert stale is thread
    released, _ = transition(thread, Release("a", 1, AT))
    assert EnqueueJob("a", "echo") in outstanding(released)
    assert cancel(released, "a")[1] == (Seal("a"),)
    thread, _ = start(released, "a", 2, "w2")
    assert (thread.active.is_held, thread.active.losses) == (True, 0)
    thread, _ = start(thread, "a", 3, "w3")
    assert thread.active.losses == 1


def test_only_a_success_replaces_the_outputs_of_the_thread():
    thread, _ = finish(thread_with("a"), "a", SUCCESS)
    thread, _ = finish(admit(thread, "b")[0], "b", Outcome(RunStatus.ERROR))
    assert thread.outputs.run_id == "a"
    assert thread.status is ThreadStatus.ERROR


def test_the_state_survives_its_encoding():
    thread = cancel(start(thread_with("a", "b"), "a")[0], "a")[0]
    assert ThreadRecord.decode(thread.encode()) == thread


@given(st.lists(st.sampled_from(RunStatus), min_size=1, max_size=5))
def test_a_record_never_leaves_a_final_status(statuses):
    record = RunRecord(
        run_id="a", thread_id="t", assistant_id=None, executor="echo", created_at=AT, updated_at=AT
    )
    for wanted in statuses:
        before = record
        try:
            record = advance(record, wanted)
        except IllegalTransitionError:
            assert before.status.is_final
    assert not (record.status is RunStatus.PENDING and record.attempt)


def advance(record, wanted):
    if wanted in (RunStatus.PENDING, RunStatus.RUNNING):
        return record.running("w", record.attempt + 1)
    return record.ended(Outcome(wanted), AT)


class Runs(RuleBasedStateMachine):
    """Random commands against a model that only knows who was admitted and who finished."""

    run_ids = Bundle("run_ids")

    def __init__(self):
        super().__init__()
        self.thread = new_thread()
        self.offered = 0
        self.admitted = []
        self.finished = []
        self.wishes = {}
        self.delayed = []

    def apply(self, command):
        before = self.thread
        try:
            self.thread, effects = transition(before, command)
        except (
            RunConflictError,
            QueueFullError,
            RunNotFoundError,
            RunNotStartableError,
        ):
            return None
        return effects

    @rule(run_id=run_ids)
    def become_due(self, run_id):
        is_due = self.thread.find_delayed(run_id) is not None and run_id not in self.wishes
        self.apply(BecomeDue(run_id, DUE))
        assert self.thread.find_delayed(run_id) is None or run_id in self.wishes
        if is_due:  # from now on it stands behind those that were admitted before
            self.admitted.remove(run_id)
            self.admitted.append(run_id)
            self.delayed.remove(run_id)
            self.note_who_gave_way()

    @rule(
        target=run_ids,
        strategy=st.sampled_from(MultitaskStrategy),
        due=st.sampled_from([None, None, DUE]),
    )
    def admit_one(self, strategy, due):
        self.offered += 1
        run_id = f"r{self.offered}"
        command = Admit(run_id, "echo", strategy, MAX_QUEUED, AT, due=due)
        inflight = self.thread.inflight_ids
        effects = self.apply(command)
        if effects is None:
            return multiple()
        if strategy in ("interrupt", "rollback"):
            assert {each.run_id for each in effects} == {run_id, *inflight}
            for each in inflight:
                self.wishes.setdefault(each, CancelAction(strategy.value))
        self.admitted.append(run_id)
        if due is not None:
            self.delayed.append(run_id)
        self.note_who_gave_way()
        return run_id

    @rule(run_id=run_ids, attempt=st.integers(1, 3), worker=st.sampled_from(["w1", "w2"]))
    def start_one(self, run_id, attempt, worker):
        effects = self.apply(Start(run_id, worker, attempt, AT))
        if effects is not None:
            assert self.thread.active.run_id == run_id
            assert run_id not in self.wishes
            assert run_id not in self.finished

    @rule(run_id=run_ids, attempt=st.integers(1, 3))
    def release_one(self, run_id, attempt):
        before = self.thread.active
        assert self.apply(Release(run_id, attempt, AT)) == ()
        if self.thread.active is not before:
            assert (before.run_id, before.attempt, before.is_held) == (run_id, attempt, True)

    @rule(run_id=run_ids, attempt=st.integers(1, 3), asks=st.booleans())
    def ask_one(self, run_id, attempt, asks):
        effects = self.apply(Ask(run_id, attempt, QUESTION if asks else None, AT))
        assert effects is None or self.thread.active.run_id == run_id
        self.note_who_gave_way()

    @rule()
    def answer_it(self):
        asked = self.thread.question
        try:
            self.apply(GiveAnswer("echo", 1, AT))
        except NothingToResumeError:
            assert asked is None
        assert self.thread.question is None

    def note_who_gave_way(self):
        active = self.thread.active
        if active is not None and active.question and self.thread.queue:
            self.wishes.setdefault(active.run_id, CancelAction.INTERRUPT)

    @rule(run_id=run_ids, action=st.sampled_from(CancelAction))
    def cancel_one(self, run_id, action):
        effects = self.apply(RequestCancel(run_id, action, AT))
        assert (effects is None) == (run_id in self.finished)
        if effects is not None:
            self.wishes.setdefault(run_id, action)

    @rule(run_id=run_ids, outcome=st.sampled_from(FINAL), is_removed=st.booleans())
    def finish_one(self, run_id, outcome, is_removed):
        before = self.thread
        is_rolled_back = self.wishes.get(run_id) is CancelAction.ROLLBACK
        effects = self.apply(Finish(run_id, outcome, AT, is_removed and is_rolled_back))
        if run_id in self.finished:
            assert self.thread is before
            assert effects == ()
        elif is_rolled_back and not is_removed:
            assert self.thread is before
            assert effects == (RollBack(run_id),)
        else:
            self.finished.append(run_id)
            if is_rolled_back:
                assert (self.thread.last, self.thread.outputs) == (before.last, before.outputs)

    @invariant()
    def inflight_runs_are_those_admitted_and_not_finished_in_order(self):
        inflight = [run for run in self.admitted if run not in (*self.finished, *self.delayed)]
        active = [self.thread.active.run_id] if self.thread.active else []
        assert active + [run.run_id for run in self.thread.queue] == inflight

    @invariant()
    def delayed_runs_are_those_whose_time_has_not_come(self):
        delayed = [run for run in self.delayed if run not in self.finished]
        assert [run.run_id for run in self.thread.delayed] == delayed

    @invariant()
    def no_run_waits_while_none_is_active(self):
        assert self.thread.active is not None or not self.thread.queue

    @invariant()
    def the_first_wish_of_every_inflight_run_stays(self):
        inflight = [run for run in self.admitted if run not in self.finished]
        wishes = {run: self.wishes[run] for run in inflight if run in self.wishes}
        assert self.thread.cancels == wishes

    @invariant()
    def the_queue_is_bounded(self):
        assert self.thread.waiting_count <= 2 * MAX_QUEUED + 1

    @invariant()
    def a_crash_before_the_effects_can_be_made_good_from_the_state(self):
        effects = outstanding(self.thread)
        active = self.thread.active
        if active and not active.is_held:
            is_cancelled = active.run_id in self.thread.cancels
            wanted = Seal(active.run_id) if is_cancelled else EnqueueJob(active.run_id, "echo")
            assert wanted in effects
        for run in self.thread.delayed:
            is_cancelled = run.run_id in self.thread.cancels
            assert (Seal(run.run_id) if is_cancelled else SetTimer(run.run_id, DUE)) in effects
        jobs = [effect for effect in effects if isinstance(effect, EnqueueJob)]
        assert all(active and job.run_id == active.run_id for job in jobs)

    @invariant()
    def the_state_can_be_stored(self):
        assert ThreadRecord.decode(self.thread.encode()) == self.thread


TestRuns = Runs.TestCase
