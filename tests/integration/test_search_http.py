"""Threads and runs are searched over HTTP as the platform's clients do, at any gateway."""

import asyncio

import pytest

from api.gateway import gateway_application, serve_application
from api.listener import open_listener
from runs import ReadModelUnavailableError

RUN = {"assistant_id": "echo"}


async def make_threads(http, count):
    made = []
    for number in range(count):
        body = {"metadata": {"n": number, "parity": number % 2, "deep": {"x": [number]}}}
        async with http.post("/threads", json=body) as answer:
            made.append((await answer.json())["thread_id"])
    return made


async def search(http, path="/threads/search", **body):
    async with http.post(path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        headers = {name: answer.headers.get(f"X-Pagination-{name}") for name in ("Total", "Next")}
        return await answer.json(), headers


async def test_pages_follow_each_other_by_the_header(http):
    made = await make_threads(http, 5)
    page, headers = await search(http, limit=2, sort_by="created_at", sort_order="asc")
    assert [each["thread_id"] for each in page] == made[:2]
    assert headers == {"Total": "5", "Next": "2"}
    page, headers = await search(http, limit=2, offset=4, sort_by="created_at", sort_order="asc")
    assert [each["thread_id"] for each in page] == made[4:]
    assert headers == {"Total": "5", "Next": None}


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"metadata": {"parity": 1}}, [1, 3]),
        ({"metadata": {"deep": {"x": [2]}}}, [2]),
        ({"metadata": {"parity": 1, "n": 0}}, []),
        ({"status": "busy"}, []),
        ({"created_after": "2020-01-01T00:00:00Z", "metadata": {"n": 4}}, [4]),
        ({"created_before": "2020-01-01T00:00:00+01:00"}, []),
    ],
)
async def test_threads_are_found_by_what_is_asked(http, wanted, found):
    await make_threads(http, 5)
    page, headers = await search(http, **wanted, sort_by="created_at", sort_order="asc")
    assert [each["metadata"]["n"] for each in page] == found
    assert headers["Total"] == str(len(found))
    async with http.post("/threads/count", json=wanted) as answer:
        assert await answer.json() == len(found)


async def test_a_time_without_an_offset_is_refused(http):
    body = {"created_after": "2020-01-01T00:00:00"}
    async with http.post("/threads/search", json=body) as answer:
        assert (answer.status, (await answer.json())["code"]) == (422, "invalid-request")


async def test_runs_of_all_threads_are_searched_and_counted(http, wire, gateway):
    first = await wire.create_run(gateway, http, metadata={"of": "one"})
    second = await wire.create_run(gateway, http, metadata={"of": "two"})
    await second.end("cancel")
    await gateway.facade.settle(second.thread_id, second.run_id)
    runs, headers = await search(http, "/runs/search")
    assert [each["run_id"] for each in runs] == [second.run_id, first.run_id]
    assert headers == {"Total": "2", "Next": None}
    for wanted, found in [
        ({"status": "pending"}, first),
        ({"status": ["interrupted", "error"]}, second),
        ({"metadata": {"of": "two"}}, second),
        ({"text": first.run_id[:8].upper()}, first),
        ({"thread_id": second.thread_id, "assistant_id": "echo"}, second),
    ]:
        runs, _ = await search(http, "/runs/search", **wanted)
        assert [each["run_id"] for each in runs] == [found.run_id], wanted
        async with http.post("/runs/count", json=wanted) as answer:
            assert await answer.json() == 1


async def test_the_runs_of_a_thread_are_listed_with_their_total(http, wire, gateway):
    run = await wire.create_run(gateway, http)
    path = f"/threads/{run.thread_id}/runs"
    for _ in range(3):
        async with http.post(path, json=RUN) as answer:
            assert answer.status == 200
    async with http.get(path, params={"limit": 2}) as answer:
        assert len(await answer.json()) == 2
        assert answer.headers["X-Pagination-Total"] == "4"
        assert answer.headers["X-Pagination-Next"] == "2"


async def test_a_deleted_thread_is_found_no_more_at_any_gateway(start_gateway, new_session):
    one, other = [await new_session((await start_gateway()).url) for _ in range(2)]
    gone, kept = await make_threads(one, 2)
    assert len((await search(other))[0]) == 2
    async with one.delete(f"/threads/{gone}") as answer:
        assert answer.status == 204
    for session in (one, other):
        page, headers = await search(session)
        assert [each["thread_id"] for each in page] == [kept]
        assert headers["Total"] == "1"


async def test_a_gateway_keeps_its_tables_for_the_next_one(settings, new_session):
    for expected in (3, 6):
        async with gateway_application(settings) as app, Served(app, settings) as url:
            http = await new_session(url)
            await make_threads(http, 3)
            assert len((await search(http))[0]) == expected
        assert (settings.data / "read_model" / "0.sqlite3").stat().st_size > 0


class Served:
    """Serves an application for the length of a context."""

    def __init__(self, app, settings):
        self._app = app
        self._settings = settings.http

    async def __aenter__(self):
        self._listener = open_listener(self._settings)
        url = asyncio.get_running_loop().create_future()
        serving = serve_application(
            self._app, self._listener, shutdown_s=1, announce=url.set_result
        )
        self._task = asyncio.create_task(serving)
        return await url

    async def __aexit__(self, *_):
        self._task.cancel()
        await asyncio.wait([self._task])
        self._listener.close()


async def test_a_data_directory_that_cannot_be_written_is_said_at_the_start(settings, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ReadModelUnavailableError, match="the read model cannot be used"):
        async with gateway_application(settings.model_copy(update={"data": blocked})):
            pass
