"""The console's files over HTTP: to anybody, under a strict policy, from memory."""

import pytest

from api.auth.settings import AuthSettings


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(auth=AuthSettings(methods=("api-key",)))


async def test_the_page_is_served_to_strangers_under_a_strict_policy(http):
    async with http.get("/console/") as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "require-trusted-types-for 'script'" in policy
    assert "unsafe" not in policy


async def test_the_short_address_leads_to_the_page_below_any_prefix(start_gateway, new_session):
    gateway = await start_gateway(mount_prefix="/behind/a/proxy")
    http = await new_session(gateway.url)
    async with http.get("/behind/a/proxy/console") as answer:
        assert (answer.status, answer.url.path) == (200, "/behind/a/proxy/console/")


async def test_a_file_that_is_known_is_not_sent_again(http):
    async with http.get("/console/styles/tokens.css") as answer:
        etag = answer.headers["ETag"]
    for known, status in ((etag, 304), (f'"other", W/{etag}', 304), ('"other"', 200)):
        async with http.get(
            "/console/styles/tokens.css", headers={"If-None-Match": known}
        ) as answer:
            assert answer.status == status
            assert answer.headers["ETag"] == etag
            assert bool(await answer.read()) == (status == 200)


@pytest.mark.parametrize(
    "path", ["nothing.js", "styles/../index.html", "..%2froutes.py", "styles", "%2e%2e/routes.py"]
)
async def test_nothing_but_the_files_can_be_asked_for(http, path):
    async with http.get(f"/console/{path}") as answer:
        body = await answer.text()
        assert answer.status in {401, 404} or body.startswith("<!doctype html>"), path


async def test_the_console_can_be_left_out(start_gateway, new_session):
    gateway = await start_gateway(disabled=("ui",))
    http = await new_session(gateway.url)
    async with http.get("/console/") as answer:
        assert answer.status == 404
