"""The SDK's hook with graphs: texts that grow, questions and their answers, whatever restarts."""

import json

import pytest
from graph_stack import with_graphs
from sites import serve_files

pytestmark = pytest.mark.usefixtures("worker")

QUESTION = json.dumps({"question": "go on?", "log": ["before"]}, separators=(",", ":"))
ANSWERED = json.dumps({"log": ["before", "answered yes", "after"]}, separators=(",", ":"))


@pytest.fixture
def settings(settings):
    return with_graphs(settings)


async def asked(open_page, **query):
    """Open a page, and submit what makes the graph ask."""
    page = await open_page({"log": []}, assistant="approval", **query)
    await page.press("submit")
    await page.shows("interrupt", QUESTION)
    await page.shows("loading", "false")
    return page


async def answer(page):
    await page.press("resume")
    await page.shows("values", ANSWERED)
    await page.shows("interrupt", "null")
    await page.shows("loading", "false")
    assert await page.read("error") == ""


async def test_a_question_is_shown_and_its_answer_lets_the_graph_go_on(open_page):
    await answer(await asked(open_page))


async def test_a_question_outlives_page_gateway_and_server(open_page, killable, server):
    page = await asked(open_page, api=killable.url)
    await killable.kill()
    await server.kill()
    await server.restart()
    await killable.start()
    await page.reload()
    await page.shows("interrupt", QUESTION)
    await answer(page)


async def test_a_chat_with_a_tool_is_shown_and_is_there_again_on_a_reload(open_page):
    said = {"messages": [{"type": "human", "content": "add 1 2"}]}
    page = await open_page(said, assistant="chat")
    await page.press("submit")
    texts = "add 1 2||3|the tool says 3"
    await page.says("texts", texts)
    await page.shows("loading", "false")
    await page.reload()
    await page.says("texts", texts)


async def test_a_graph_that_fails_or_is_stopped_says_so_and_takes_the_next_input(
    open_page, http, eventually
):
    page = await open_page({"log": []}, assistant="failing")
    await page.press("submit")
    await page.shows("error", "nothing there")
    page = await open_page({"steps": 4, "step_s": 0.5}, assistant="slow")
    await page.press("submit")
    await page.says("values", '"done":[1')
    await page.press("stop")
    await page.shows("loading", "false")

    async def is_interrupted():
        async with http.get(f"/threads/{page.thread_id}") as thread:
            return (await thread.json())["status"] == "interrupted"

    await eventually(is_interrupted)
    await page.press("submit")
    await page.says("values", '"done":[1,2,3,4]')


@pytest.mark.parametrize("sdk", ["sdk-1.15.0"])
async def test_a_page_of_an_origin_that_was_not_named_is_told_nothing(open_page, pages, sdk, http):
    async with serve_files(pages(sdk)) as stranger:
        page = await open_page({"log": []}, site=stranger, assistant="approval")
        await page.press("submit")
        await page.says("error", "Failed to fetch")
    async with http.post("/threads/count", json={}) as answer:
        assert await answer.json() == 0
