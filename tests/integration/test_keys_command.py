"""``jetrun keys``: what operators do with keys, and that gateways at work obey."""

import json
from functools import partial

import pytest
from commands import run_command

from api.auth.settings import AuthSettings


@pytest.fixture
async def gateway(start_gateway):
    return await start_gateway(auth=AuthSettings(methods=("api-key",), key_cache_s=0.05))


@pytest.fixture
def keys(settings):
    """Run ``jetrun keys`` against the test's server: returns status, output and errors."""
    return partial(run_command, settings, "keys")


async def test_a_key_is_made_used_rotated_and_revoked(http, keys, eventually):
    async def status_of(key):
        async with http.get("/info", headers={"x-api-key": key}) as answer:
            return answer.status

    status, out, _ = await keys("create", "backend", "--user", "her", "--scope", "read", "--json")
    made = json.loads(out)
    assert (status, await status_of(made["key"])) == (0, 200)

    _, listed, _ = await keys("list", "--json")
    (shown,) = json.loads(listed)
    assert (shown["id"], shown["user_id"], shown["scopes"]) == (made["id"], "her", ["read"])
    assert made["key"].rsplit("_", 1)[1] not in listed

    _, rotated, told = await keys("rotate", made["id"], "--overlap-s", "0")
    fresh = rotated.strip()
    assert "once" in told
    assert await status_of(fresh) == 200

    async def is_refused(key):
        return await status_of(key) == 401

    await eventually(lambda: is_refused(made["key"]))
    assert (await keys("revoke", made["id"]))[0] == 0
    await eventually(lambda: is_refused(fresh))
    status, _, told = await keys("revoke", made["id"])
    assert (status, "there is no API key" in told) == (1, True)


async def test_a_key_that_would_see_all_must_be_asked_for(keys):
    status, out, told = await keys("create", "backend")
    assert (status, out) == (1, "")
    assert "--operator" in told
    status, out, told = await keys("create", "backend", "--user", "two words")
    assert (status, out) == (1, "")
    assert "user_id" in told
