"""What every answer carries, and what browsers of other origins may do."""

import pytest

ORIGIN = "https://app.example"


@pytest.fixture
async def shared(start_gateway, new_session):
    """A client of a gateway that lets pages of one origin in."""
    return await new_session((await start_gateway(cors_origins=(ORIGIN,))).url)


async def test_an_answer_names_its_request(http):
    async with http.get("/ok", headers={"X-Request-Id": "abc-1"}) as answer:
        assert answer.headers["X-Request-Id"] == "abc-1"
    names = set()
    for given in ("", "x" * 200, "a b"):
        async with http.get("/nothing", headers={"X-Request-Id": given}) as answer:
            names.add(answer.headers["X-Request-Id"])
    assert len(names) == 3
    assert names.isdisjoint({"", "x" * 200, "a b"})


async def test_pages_of_an_allowed_origin_can_read_what_a_reconnect_needs(shared):
    async with shared.post(
        "/runs", json={"assistant_id": "echo"}, headers={"Origin": ORIGIN}
    ) as run:
        path = run.headers["Content-Location"]
    async with shared.get(f"{path}/stream", headers={"Origin": ORIGIN}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"Location", "Content-Location", "X-Pagination-Total"} <= set(exposed)


async def test_problems_can_be_read_across_origins(shared):
    async with shared.get("/threads/unknown", headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 404
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN


async def test_a_preflight_is_answered_for_allowed_origins_alone(shared):
    asking = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,x-api-key",
    }
    async with shared.options("/threads", headers={**asking, "Origin": ORIGIN}) as answer:
        assert answer.status == 204
        assert answer.headers["Access-Control-Allow-Headers"] == "content-type,x-api-key"
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
    async with shared.options("/threads", headers={**asking, "Origin": "https://x"}) as answer:
        assert answer.status == 405
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_nobody_is_let_in_by_default(http):
    async with http.get("/ok", headers={"Origin": ORIGIN}) as answer:
        assert answer.status == 200
        assert "Access-Control-Allow-Origin" not in answer.headers
    async with http.get("/info") as answer:
        assert (await answer.json())["name"] == "jetrun"


async def test_pages_may_do_what_the_settings_name(start_gateway, new_session):
    gateway = await start_gateway(
        cors_origin_pattern=r"https://[a-z]+\.app\.example",
        cors_methods=("GET", "POST"),
        cors_headers=("x-api-key",),
        cors_exposed_headers=("X-More",),
        cors_credentials=True,
        cors_max_age_s=60,
    )
    http = await new_session(gateway.url)
    asking = {"Access-Control-Request-Method": "POST", "Origin": "https://one.app.example"}
    async with http.options("/threads", headers=asking) as answer:
        said = answer.headers
        assert said["Access-Control-Allow-Origin"] == "https://one.app.example"
        assert said["Access-Control-Allow-Credentials"] == "true"
        assert said["Access-Control-Allow-Methods"] == "GET, POST"
        assert said["Access-Control-Allow-Headers"] == "x-api-key"
        assert said["Access-Control-Max-Age"] == "60"
        assert said["Access-Control-Expose-Headers"].endswith(", X-More")
    for origin in ("https://app.example", "https://one.app.example.evil", "http://one.app.example"):
        async with http.get("/ok", headers={"Origin": origin}) as answer:
            assert "Access-Control-Allow-Origin" not in answer.headers
            assert "Access-Control-Allow-Credentials" not in answer.headers
