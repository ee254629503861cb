"""The gateway's figures are what happened, and are for operators."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.auth.api_keys import ApiKeyGrant, ApiKeys
from api.auth.caller import ALL_SCOPES, Role
from api.auth.settings import AuthSettings


@pytest.fixture
def figures():
    """Read a gateway's figures: by name and labels, what each sample says."""

    async def read(http, **headers):
        async with http.get("/metrics", headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            families = text_string_to_metric_families(await answer.text())
            return {
                (sample.name, *sorted(sample.labels.items())): sample.value
                for family in families
                for sample in family.samples
            }

    return read


async def test_streams_are_counted_while_they_are_open(http, open_run, wire, figures):
    assert (await figures(http))["jetrun_http_streams",] == 0
    async with wire.read(http, f"{open_run.path}/stream") as frames:
        await frames.next_event()
        assert (await figures(http))["jetrun_http_streams",] == 1
        await open_run.end()
        await frames.rest()
    assert (await figures(http))["jetrun_http_streams",] == 0


async def test_figures_are_for_operators_where_users_are_told_apart(
    start_gateway, new_session, figures
):
    gateway = await start_gateway(auth=AuthSettings(methods=("api-key",)))
    http, keys = await new_session(gateway.url), ApiKeys(gateway.bridge)

    async def key_of(user_id, role):
        facts = {"name": "test", "user_id": user_id, "role": role, "expires_at": None}
        return str(await keys.create(ApiKeyGrant(**facts, scopes=tuple(ALL_SCOPES))))

    async with http.get("/metrics", headers={"x-api-key": await key_of("her", Role.USER)}) as said:
        assert said.status == 403
        assert (await said.json())["code"] == "operators-only"
    operator = await key_of(None, Role.OPERATOR)
    assert ("jetrun_http_streams",) in await figures(http, **{"x-api-key": operator})
