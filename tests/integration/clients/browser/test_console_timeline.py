"""The page of a run in a real browser: live, at any place, with whatever events hold."""

import json

import pytest

from bridge import new_event

LONG = 20_000
HOSTILE = {
    "markup": "<img src=x onerror=\"document.title='owned'\"><script>alert(1)</script>",
    "controls": "a\x00b\x1b[31mred\x07",
    "turned": "\u202egpj.exe\u2066 \u200b",
    "written from right to left": "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "</pre><h1>": {"__proto__": {"polluted": 1}, "constructor": "x"},
}


def run_place(run, query=""):
    return f"threads/{run.thread_id}/runs/{run.run_id}{query}"


@pytest.fixture
def open_timeline(console, open_run):
    """Open the page of the run that the test itself publishes."""

    async def opened(query="", **options):
        return await console(run_place(open_run, query), **options)

    return opened


async def numbered(run, first, last):
    await run.publish_many([new_event("step", {"n": n}) for n in range(first, last + 1)])


async def test_events_appear_as_they_are_published_unless_it_is_paused(open_timeline, open_run):
    page = await open_timeline()
    await page.sees(".connection", "live")
    await numbered(open_run, 1, 3)
    await page.sees_count(".event[data-event=step]", 3)
    await page.press("Following")
    await numbered(open_run, 4, 5)
    await page.press("Follow: 2 new events")
    await page.sees_count(".event[data-event=step]", 5)
    await open_run.end()
    await page.sees(".event[data-event=end]")
    await page.sees(".timeline-state", "The run has ended.")
    assert await page.numbers() == [1, 2, 3, 4, 5, 6, 7]


async def test_what_came_live_becomes_what_the_records_say(open_timeline, open_run):
    page = await open_timeline()
    await page.sees(".connection", "live")
    await open_run.publish("note", {"n": 1}, category="message")
    await page.sees(".event[data-event=note] .category", "live")
    await page.sees(".event[data-event=note] .category", "message")
    await page.sees_no(".at.unsettled")


async def test_a_link_leads_to_its_event_and_scrolling_reads_on(open_timeline, open_run):
    await numbered(open_run, 1, 1000)
    place = int((await open_run.publish("here", 1)).split("-")[0])
    await numbered(open_run, 1002, 2000)
    page = await open_timeline(f"?event={place}-1002")
    here = await page.sees(".event.target[data-event=here]")
    assert await here.evaluate("(row) => row.getBoundingClientRect().top < innerHeight")
    scroller = page.page.locator(".timeline-scroll")
    before = await page.numbers()
    await scroller.evaluate("(each) => { each.scrollTop = 0 }")
    await page.page.wait_for_function(
        "(first) => Number(document.querySelector('.event').dataset.runSeq) < first", arg=before[0]
    )
    held = await page.numbers()
    assert held == list(range(held[0], held[0] + len(held)))
    await page.page.get_by_label("Go to event number").fill("1500")
    await page.sees('.event[data-run-seq="1500"]')
    await page.press("Follow")
    await page.sees('.event[data-run-seq="2001"]')


async def test_missing_events_are_a_hole_with_its_count(open_timeline, open_run, gateway):
    await numbered(open_run, 1, 20)
    await gateway.bridge.trim(open_run.run_id, keep=6)
    page = await open_timeline()
    hole = await page.sees(".hole")
    numbers = await page.numbers()
    assert int(await hole.get_attribute("data-missing")) == numbers[0] - 1 > 10
    assert "are missing" in await hole.inner_text()


async def test_attempts_tokens_and_categories_are_told_apart(open_timeline, open_run, gateway):
    usage = {"usage_metadata": {"input_tokens": 1200, "output_tokens": 300}}
    await open_run.publish("messages", [usage, {}], category="message")
    await gateway.bridge.begin_attempt(open_run.run_id, 2)
    await open_run.publish("custom", {"n": 1})
    page = await open_timeline()
    await page.sees(".event.begins .attempt", "attempt 2")
    assert await (await page.sees(".event[data-event=messages] .tokens")).inner_text() == "1.5K"
    await page.page.get_by_label("Category").select_option("message")
    await page.sees_count(".event", 1)
    assert await page.sees(".event[data-event=messages]")
    await page.page.reload()
    await page.sees_count(".event", 1)
    assert page.place.endswith("?category=message")


async def test_hostile_events_are_text_and_nothing_else(open_timeline, open_run):
    for name, text in HOSTILE.items():
        await open_run.publish(name, {name: text})
    await open_run.publish("large", "x" * (1 << 20))
    page = await open_timeline("?view=raw")
    await page.sees_count(".event", len(HOSTILE) + 2)
    shown = "\n".join(await page.texts(".json"))
    assert "<img src=x onerror=" in shown
    assert "\\u001b[31mred" in shown
    assert "\\u202egpj.exe" in shown
    assert HOSTILE["written from right to left"] in shown
    assert not {"\u202e", "\u2066", "\x1b", "\x00"} & set(await page.page.content())
    assert await page.page.locator(".events img, .events script, .events h1").count() == 0
    assert await page.page.title() != "owned"
    large = page.page.locator(".event[data-event=large]")
    assert len(await large.locator(".json").inner_text()) < 20_000
    await large.get_by_role("button", name="Show all 1.0 MiB").click()
    await page.sees(".event[data-event=large] button", "Show more")
    assert await page.overflow() == 0


async def test_a_run_is_given_the_same_again(console, gateway, http, wire):
    given = {"question": "why", "api_key": "kept"}
    config = {"configurable": {"token": "kept"}}
    run = await wire.create_run(gateway, http, input=given, config=config)
    page = await console(run_place(run))
    await page.press("Run again")
    await page.page.wait_for_function("(id) => !location.hash.includes(id)", arg=run.run_id)
    made = page.place.split("/")[-1]
    assert page.place.split("/")[2] == run.thread_id
    record = await gateway.facade.get_run(run.thread_id, made)
    assert (record.kwargs["input"], record.kwargs["config"]) == (given, config)
    await page.page.get_by_role("link", name="Input").click()
    shown = await page.sees("run-document .json")
    assert json.loads(await shown.inner_text())["input"] == given


async def test_the_output_and_the_file_of_a_run_are_there_when_it_has_ended(
    open_timeline, open_run, archive, http
):
    await open_run.publish("values", {"answer": 42}, category="outputs")
    await open_run.end("error", {"status": "error", "error": {"error": "Oops", "message": "no"}})
    async with http.get(f"{open_run.path}/join") as answer:  # brings the record in line
        assert "Oops" in await answer.text()
    await archive(open_run)
    page = await open_timeline("?tab=output")
    await page.sees("run-document .json", "Oops")
    await page.sees(".fact.archive", "complete, 3 events")
    async with page.page.expect_download() as download:
        await page.press("Download JSONL")
    file = await (await download.value).path()
    assert file.read_bytes().count(b"\n") == 3


async def test_what_is_not_there_is_said_with_a_way_on(console):
    page = await console("threads/nobody/runs/nothing")
    await page.sees("[role=alert] h2", "does not exist")
    await page.page.get_by_role("link", name="All runs", exact=True).click()
    await page.sees("h2", "No runs yet")


async def test_what_is_not_there_is_not_asked_for_again_and_again(console):
    page = await console("threads/nobody/runs/nothing")
    await page.page.clock.install()
    await page.page.reload()
    await page.sees("[role=alert] h2", "does not exist")
    asked = []
    page.page.on("request", lambda request: asked.append(request.url))
    await page.page.clock.fast_forward("10:00")
    await page.page.evaluate("fetch('../ok')")
    assert [url.rpartition("/")[2] for url in asked] == ["ok"]


@pytest.mark.timeout(300)
async def test_a_very_long_run_opens_at_its_end_and_the_page_stays_small(
    open_timeline, open_run, archive
):
    for start in range(0, LONG, 1000):
        await numbered(open_run, start + 1, start + 1000)
    await open_run.end()
    await archive(open_run)
    page = await open_timeline()
    await page.sees(f'.event[data-run-seq="{LONG + 2}"]')
    scroller = page.page.locator(".timeline-scroll")
    first = (await page.numbers())[0]
    for _ in range(8):
        await scroller.evaluate("(each) => { each.scrollTop = 0 }")
        await page.page.wait_for_function(
            "(first) => Number(document.querySelector('.event').dataset.runSeq) < first", arg=first
        )
        first = (await page.numbers())[0]
        assert len(await page.numbers()) <= 500
    await page.page.get_by_label("Go to event number").fill("10000")
    await page.sees('.event[data-run-seq="10000"]')
    await page.press("To the end")
    await page.sees(f'.event[data-run-seq="{LONG + 2}"]')
