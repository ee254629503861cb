"""A function asks its user and waits: over HTTP, as unmodified clients see it and answer."""

import asyncio
import json

import pytest
from langgraph_sdk import get_client

from runs import AssistantSettings, RunSettings, WorkerSettings

HANDLERS = """
import asyncio


async def asks(ctx, given):
    yield "before", {"attempt": ctx.attempt}
    answers = []
    for prompt in given["prompts"]:
        answers.append(await ctx.wait_for_input(prompt))
        yield "heard", answers[-1]
    ctx.result({"answers": answers})


def asks_in_a_thread(ctx, given):
    return {"answers": [ctx.wait_for_input(prompt) for prompt in given["prompts"]]}
"""
NAMES = ["asks", "asks_in_a_thread"]
ASK = {"prompts": ["sure?"]}


@pytest.fixture
def settings(settings, tmp_path):
    path = tmp_path / "handlers.py"
    path.write_text(HANDLERS)
    assistants = {name: AssistantSettings(function=f"{path}:{name}") for name in NAMES}
    assistants["again"] = AssistantSettings(function=f"{path}:asks", on_worker_lost="restart")
    changes = {
        "assistants": assistants,
        "worker": WorkerSettings(lease_s=2, probe_s=0.5, cancel_grace_s=1, drain_s=0.2),
        "runs": RunSettings(stale_s=1, max_input_bytes=1000),
    }
    return settings.model_copy(update=changes)


@pytest.fixture
async def sdk(gateway):
    async with get_client(url=gateway.url) as client:
        yield client


@pytest.fixture
async def thread(sdk):
    return (await sdk.threads.create())["thread_id"]


@pytest.fixture
def waits(gateway, thread, eventually):
    """Wait until the thread's run waits for its user; return the question."""

    async def wait(other_than=None):
        async def asked():
            found = await gateway.facade.get_thread(thread)
            if other_than is None or found.question is not None:
                return found.question != other_than and found.question
            return found.active is None  # the run is lost

        return await eventually(asked, within_s=60, what="a question is asked")

    return wait


async def streamed(stream):
    return [(part.event, part.data) async for part in stream]


def shown(prompt, question):
    return {"__interrupt__": [{"value": prompt, "id": question.input_id}]}


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", NAMES)
async def test_the_sdk_waits_for_a_question_answers_it_and_gets_the_result(
    sdk, thread, name, gateway
):
    asked = await sdk.runs.wait(thread, name, input={"prompts": ["name?", "sure?"]})
    assert asked["__interrupt__"][0]["value"] == "name?"
    asked = await sdk.runs.wait(thread, name, command={"resume": "ann"})
    assert asked["__interrupt__"][0]["value"] == "sure?"
    result = await sdk.runs.wait(thread, name, command={"resume": {"yes": True}})
    assert result == {"answers": ["ann", {"yes": True}]}
    (run,) = await sdk.runs.list(thread)
    assert run["status"] == "success"
    assert (await sdk.threads.get(thread))["status"] == "idle"
    assert (await gateway.facade.get_thread(thread)).question is None


@pytest.mark.usefixtures("worker")
async def test_a_stream_ends_at_the_question_and_goes_on_behind_it_with_the_answer(
    sdk, thread, waits
):
    modes = ["values", "updates", "custom"]
    first = await streamed(sdk.runs.stream(thread, "asks", input=ASK, stream_mode=modes))
    question = await waits()
    asked = shown("sure?", question)
    assert first[1:] == [
        ("before", {"attempt": 1}),
        ("updates", asked),
        ("values", asked),
        ("end", None),
    ]
    answer = {"resume": {question.input_id: "yes"}}  # as a map of answers by question
    second = await streamed(sdk.runs.stream(thread, "asks", command=answer, stream_mode=modes))
    assert second == [("heard", "yes"), ("values", {"answers": ["yes"]}), ("end", None)]
    (run,) = await sdk.runs.list(thread)
    whole = await streamed(sdk.runs.join_stream(thread, run["run_id"], stream_mode=modes))
    assert whole == first[:-1] + second


@pytest.mark.usefixtures("worker")
async def test_the_state_of_the_thread_shows_the_question_while_the_run_waits(
    sdk, thread, gateway, waits, eventually
):
    run = await sdk.runs.create(thread, "asks", input=ASK)
    question = await waits()
    assert run["run_id"] == (await gateway.facade.get_thread(thread)).active.run_id
    interrupts = [{"value": "sure?", "id": question.input_id}]
    found = await sdk.threads.get(thread)
    assert (found["status"], found["interrupts"]) == (
        "interrupted",
        {question.input_id: interrupts},
    )
    state = await sdk.threads.get_state(thread)
    assert (state["next"], state["interrupts"]) == (["asks"], interrupts)
    assert state["tasks"][0]["interrupts"] == interrupts
    assert (await sdk.threads.get_history(thread))[0]["interrupts"] == interrupts

    async def is_marked():
        return (await gateway.bridge.status(run["run_id"])).awaiting_input

    await eventually(is_marked)  # the last of what is written for a question
    assert (await sdk.runs.get(thread, run["run_id"]))["status"] == "running"


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("action", ["interrupt", "rollback"])
async def test_a_run_that_waits_can_be_cancelled(sdk, thread, waits, gateway, name, action):
    run = await sdk.runs.create(thread, name, input=ASK)
    await waits()
    async with asyncio.timeout(30):
        await sdk.runs.cancel(thread, run["run_id"], wait=True, action=action)
    assert (await gateway.facade.get_thread(thread)).inflight_ids == ()
    record = await gateway.facade.find_run(run["run_id"])
    assert (record and record.status) == ("interrupted" if action == "interrupt" else None)


@pytest.mark.usefixtures("worker")
@pytest.mark.parametrize("strategy", ["enqueue", "reject", "interrupt", "rollback"])
async def test_a_run_that_waits_is_in_nobodys_way(sdk, thread, waits, gateway, strategy):
    first = await sdk.runs.create(thread, "asks", input=ASK)
    await waits()
    async with asyncio.timeout(30):
        await sdk.runs.wait(thread, "echo", input={}, multitask_strategy=strategy)
    record = await gateway.facade.find_run(first["run_id"])
    assert (record and record.status) == (None if strategy == "rollback" else "interrupted")


@pytest.mark.usefixtures("worker")
async def test_a_question_asked_while_others_wait_in_line_ends_the_run(sdk, thread, gateway):
    first = await sdk.runs.create(thread, "asks", input=ASK)
    await sdk.runs.wait(thread, "echo", input={})
    async with asyncio.timeout(30):
        stopped = await sdk.runs.join(thread, first["run_id"])
    assert stopped["__error__"]["error"] == "RunInterruptedError"
    assert (await gateway.facade.find_run(first["run_id"])).status == "interrupted"


async def post(http, path, **body):
    async with http.post(path, json=body) as answer:
        return answer.status, await answer.json()


async def test_an_answer_that_nobody_waits_for_is_409_and_other_commands_are_422(http, thread):
    path = f"/threads/{thread}/runs"
    status, problem = await post(http, path, assistant_id="asks", command={"resume": 1})
    assert (status, problem["code"]) == (409, "nothing-to-resume")
    status, problem = await post(http, path, assistant_id="asks", command={"goto": "x"})
    assert (status, problem["code"]) == (422, "unsupported-option")
    status, _ = await post(http, "/runs", assistant_id="asks", command={"resume": 1})
    assert status == 400
    status, _ = await post(http, "/threads/x/runs", assistant_id="asks", command={"resume": 1})
    assert status == 404


@pytest.mark.usefixtures("worker")
async def test_questions_and_answers_are_bounded(http, sdk, thread, waits):
    large = {"prompts": ["x" * 1000]}
    refused = await sdk.runs.wait(thread, "asks", input=large, raise_error=False)
    assert refused["__error__"]["error"] == "InputTooLargeError"
    await sdk.runs.create(thread, "asks", input=ASK)
    await waits()
    path = f"/threads/{thread}/runs"
    answer = {"resume": "x" * 1000}
    status, problem = await post(http, path, assistant_id="asks", command=answer)
    assert (status, problem["code"]) == (413, "input-too-large")
    status, problem = await post(http, path, assistant_id="echo", command={"resume": 1})
    assert (status, problem["code"]) == (409, "nothing-to-resume")
    result = await sdk.runs.wait(thread, "asks", command={"resume": "short"})
    assert result == {"answers": ["short"]}


@pytest.mark.usefixtures("worker")
async def test_of_two_answers_at_once_one_is_given(sdk, thread, waits):
    await sdk.runs.create(thread, "asks", input=ASK)
    await waits()
    answers = [sdk.runs.create(thread, "asks", command={"resume": n}) for n in range(4)]
    outcomes = await asyncio.gather(*answers, return_exceptions=True)
    assert sum(isinstance(each, dict) for each in outcomes) == 1
    (run,) = await sdk.runs.list(thread)
    (answer,) = (await sdk.runs.join(thread, run["run_id"]))["answers"]
    assert isinstance(outcomes[answer], dict)


async def test_a_run_that_nobody_answers_ends_as_timeout(
    settings, start_worker, sdk, thread, eventually
):
    await start_worker(worker=settings.worker.model_copy(update={"input_wait_s": 0.3}))
    run = await sdk.runs.create(thread, "asks", input=ASK)

    async def is_over():
        return (await sdk.runs.get(thread, run["run_id"]))["status"] == "timeout"

    await eventually(is_over, within_s=60)
    failed = await sdk.runs.join(thread, run["run_id"])
    assert failed["__error__"]["error"] == "InputTimeoutError"


@pytest.mark.parametrize(("name", "status"), [("asks", "error"), ("again", "running")])
async def test_a_worker_that_is_killed_takes_its_question_along(
    sdk, thread, start_worker, waits, name, status
):
    worker = await start_worker()
    run = await sdk.runs.create(thread, name, input=ASK)
    first = await waits()
    worker.kill()
    await worker.wait()
    await start_worker()
    await waits(other_than=first)
    found = await sdk.runs.get(thread, run["run_id"])
    assert found["status"] == status, json.dumps(found)
    if name == "again":
        result = await sdk.runs.wait(thread, name, command={"resume": "yes"})
        assert result == {"answers": ["yes"]}


@pytest.mark.usefixtures("worker")
async def test_the_thread_protocol_shows_the_question_and_takes_the_answer(sdk, eventually):
    async with sdk.threads.stream(assistant_id="asks") as thread, asyncio.timeout(60):
        started = await thread.run.start(input={"prompts": ["sure?", "really?"]})
        for number, (prompt, answer) in enumerate([("sure?", "yes"), ("really?", "no")], start=1):
            await eventually(
                lambda number=number: len(thread.interrupts) == number,
                within_s=30,
                what="the question is shown",
            )
            asked = thread.interrupts[-1]
            told = await thread.run.respond(answer, interrupt_id=asked["interrupt_id"])
            assert (asked["value"], told) == (prompt, started)
        assert await thread.output == {"answers": ["yes", "no"]}
