"""Where nobody is asked who calls, pages of other sites can neither change nor read anything."""

import pytest

from api.auth.caller import EVERYBODY

STRANGE = "https://strange.example"
RUN = b'{"assistant_id": "echo"}'
#: What a page may send without asking first.
SIMPLE = {"Origin": STRANGE, "Content-Type": "text/plain"}


async def code_of(answer):
    assert answer.status == 403
    assert answer.headers["X-Request-Id"]
    return (await answer.json(content_type=None))["code"]


@pytest.mark.parametrize("path", ["/runs", "/runs/wait", "/threads", "/runs/cancel", "/nowhere"])
async def test_a_page_of_another_site_changes_nothing(http, stored, path):
    before = await stored()
    async with http.post(path, data=RUN, headers=SIMPLE) as answer:
        assert await code_of(answer) == "origin-not-allowed"
    async with http.post(path, data=RUN, headers={**SIMPLE, "Origin": "null"}) as answer:
        assert await code_of(answer) == "origin-not-allowed"
    assert await stored() == before


async def test_own_pages_and_programs_are_served(http, gateway):
    for headers in ({}, {"Origin": gateway.url}):
        async with http.post("/threads", json={}, headers=headers) as answer:
            assert answer.status == 200, headers


async def test_pages_of_allowed_origins_are_served(start_gateway, new_session):
    session = await new_session((await start_gateway(cors_origins=(STRANGE,))).url)
    async with session.post("/threads", json={}, headers={"Origin": STRANGE}) as answer:
        assert answer.status == 200


async def test_a_host_that_another_site_pointed_here_is_refused(http):
    for host in ("strange.example", "strange.example:2024", "localhost.strange.example", "a:b:c"):
        async with http.get("/assistants/echo", headers={"Host": host}) as answer:
            assert await code_of(answer) == "host-not-allowed", host


async def test_addresses_and_names_of_this_machine_are_served(http):
    for host in ("localhost", "LOCALHOST:2024", "app.localhost:1", "127.0.0.1:2024", "[::1]:2024"):
        async with http.get("/assistants/echo", headers={"Host": host}) as answer:
            assert answer.status == 200, host


async def test_any_host_may_be_served_where_that_was_asked_for(start_gateway, new_session):
    session = await new_session((await start_gateway(allow_unauthenticated=True)).url)
    async with session.get("/assistants/echo", headers={"Host": "app.example"}) as answer:
        assert answer.status == 200
    async with session.post("/threads", data=b"{}", headers=SIMPLE) as answer:
        assert await code_of(answer) == "origin-not-allowed"


async def test_an_application_that_finds_out_itself_who_calls_is_not_guarded(
    start_gateway, new_session
):
    async def authenticate(_):
        return EVERYBODY

    session = await new_session((await start_gateway(authenticate)).url)
    headers = {**SIMPLE, "Host": "app.example"}
    async with session.post("/threads", data=b"{}", headers=headers) as answer:
        assert answer.status == 200
